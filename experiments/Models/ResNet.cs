using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Models;

/// <summary>
/// The residual network for 32×32 images with 6n + 2 layers (He, Zhang, Ren, Sun 2016, section 4.2): a convolution,
/// three stages of n blocks with 16, 32, 64 channels, the mean over the image, a linear layer. Keys of the state
/// dictionary: conv1, bn1, layer1.0.conv1, …, layer3.(n−1).bn2, fc.
/// </summary>
internal sealed class ResNet : nn.Module<Tensor, Tensor>
{
#pragma warning disable IDE0044, CA1859 // the fields' names are the state dictionary's keys
    private readonly Conv2d conv1;
    private readonly BatchNorm2d bn1;
    private readonly Sequential layer1;
    private readonly Sequential layer2;
    private readonly Sequential layer3;
    private readonly Linear fc;
#pragma warning restore IDE0044, CA1859

    /// <summary>A network of <paramref name="depth"/> = 6n + 2 layers, its weights drawn from <paramref name="seed"/>.</summary>
    public ResNet(int depth, int classes, long seed) : base(nameof(ResNet))
    {
        if (depth < 8 || (depth - 2) % 6 != 0) {
            throw new ArgumentException($"The depth of a residual network is 6n + 2 with n ≥ 1, but is {depth}.", nameof(depth));
        }
        int blocks = (depth - 2) / 6;
        conv1 = nn.Conv2d(3, 16, 3, padding: 1, bias: false);
        bn1 = nn.BatchNorm2d(16);
        layer1 = Stage(blocks, 16, 16, 1);
        layer2 = Stage(blocks, 16, 32, 2);
        layer3 = Stage(blocks, 32, 64, 2);
        fc = nn.Linear(64, classes);
        RegisterComponents();
        Initialise(seed);
    }

    /// <summary>Maps images B×3×32×32 to logits B×classes.</summary>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        Tensor x = nn.functional.relu(bn1.forward(conv1.forward(images)), inplace: true);
        x = layer3.forward(layer2.forward(layer1.forward(x)));
        return fc.forward(x.mean([2, 3])).MoveToOuterDisposeScope();
    }

    private static Sequential Stage(int blocks, long inputs, long channels, long stride) =>
        nn.Sequential(Enumerable.Range(0, blocks).Select(i => ($"{i}", (nn.Module<Tensor, Tensor>)(i == 0
            ? new BasicBlock(inputs, channels, stride)
            : new BasicBlock(channels, channels, 1)))).ToArray());

    /// <summary>Convolutions: normal, variance 2 / fan out (He et al. 2015); the linear layer: uniform in ±1/√64.</summary>
    private void Initialise(long seed)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        using Generator generator = Seeds.Torch(seed, "weights");
        foreach ((string name, Parameter parameter) in named_parameters()) {
            if (parameter.dim() == 4) {
                using Scalar deviation = Math.Sqrt(2.0 / (parameter.size(0) * 9)).ToScalar();
                parameter.copy_(randn(parameter.shape, generator: generator).mul_(deviation));
            } else if (name.StartsWith("fc.", StringComparison.Ordinal)) {
                using Scalar width = (2.0 / 8.0).ToScalar();
                using Scalar half = 0.5.ToScalar();
                parameter.copy_(rand(parameter.shape, generator: generator).sub_(half).mul_(width));
            }
        }
    }
}
