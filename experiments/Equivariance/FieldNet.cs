using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>
/// An ordinary convolutional network in which nothing stands against the symmetries of the square: five 3×3 convolutions, one at full resolution and two at
/// each of two coarser ones, with means over 2×2 pixels between them, BatchNorm with one mean and variance for eight channels each, the mean over the image, a linear layer.
/// Whether it commutes with the symmetries is a matter of its weights alone. (Normalised by the statistics of each image it would commute too, but then
/// a field has the same mean in every image, and an equivariant network ends in these means: nothing would be left to tell classes by.)
/// </summary>
internal sealed class FieldNet : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d[] _convolutions;
    private readonly BatchNorm2d[] _norms;
    private readonly Linear _head;

    /// <param name="widths">The channels at the three resolutions, multiples of eight.</param>
    /// <param name="seed">What the weights are drawn from.</param>
    public FieldNet(IReadOnlyList<int> widths, long seed) : base(nameof(FieldNet))
    {
        if (widths.Count != 3 || widths.Any(width => width <= 0 || width % SquareGroup.Order != 0)) {
            throw new ArgumentException($"A FieldNet has three widths, multiples of {SquareGroup.Order}, but was given {string.Join(", ", widths)}.");
        }
        int[] channels = [3, widths[0], widths[1], widths[1], widths[2], widths[2]];
        _convolutions = [.. channels.Skip(1).Select((width, i) => nn.Conv2d(channels[i], width, 3, padding: 1))];
        _norms = [.. channels.Skip(1).Select(width => nn.BatchNorm2d(width / SquareGroup.Order, affine: false))];
        _head = nn.Linear(widths[2], 10);
        for (int i = 0; i < _convolutions.Length; i++) {
            register_module($"conv{i + 1}", _convolutions[i]);
            register_module($"bn{i + 1}", _norms[i]);
        }
        register_module("fc", _head);
        Initialise(seed);
    }

    /// <summary>The convolutions, in their order.</summary>
    public IReadOnlyList<Conv2d> Convolutions => _convolutions;

    /// <summary>The linear layer at the end.</summary>
    public Linear Head => _head;

    /// <summary>Maps B×3×H×W, H and W divisible by four, to B×10.</summary>
    public override Tensor forward(Tensor x) => Logits(x, (norm, at) => norm.forward(at));

    /// <summary>The same, normalised by the statistics of these images; the running ones stay as they are.</summary>
    public Tensor ByOwnStatistics(Tensor x) => Logits(x, (norm, at) =>
        nn.functional.batch_norm(at, norm.running_mean!.clone(), norm.running_var!.clone(), training: true, eps: norm.eps));

    private Tensor Logits(Tensor x, Func<BatchNorm2d, Tensor, Tensor> normalise)
    {
        using var scope = NewDisposeScope();
        Tensor at = x;
        for (int i = 0; i < _convolutions.Length; i++) {
            at = _convolutions[i].forward(at);
            Tensor fields = at.reshape(at.size(0), -1, SquareGroup.Order * at.size(2), at.size(3));
            at = nn.functional.relu(normalise(_norms[i], fields).reshape(at.shape));
            if (i is 0 or 2) {
                at = nn.functional.avg_pool2d(at, 2);
            }
        }
        return _head.forward(at.mean([2, 3])).MoveToOuterDisposeScope();
    }

    // Normal with variance 2 / fan in (He et al. 2015); biases zero.
    private void Initialise(long seed)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        using Generator generator = Seeds.Torch(seed, "weights");
        using Scalar zero = 0.0f.ToScalar();
        foreach ((Parameter weight, Parameter bias) in _convolutions.Select(layer => (layer.weight, layer.bias!)).Append((_head.weight, _head.bias!))) {
            using Scalar deviation = Math.Sqrt(2.0 / (weight.numel() / weight.size(0))).ToScalar();
            weight.copy_(randn(weight.shape, generator: generator).mul_(deviation));
            bias.fill_(zero);
        }
    }
}
