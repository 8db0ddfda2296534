using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Models;

/// <summary>Two 3×3 convolutions with batch normalisation beside a shortcut (He et al. 2016, figure 2).</summary>
internal sealed class BasicBlock : nn.Module<Tensor, Tensor>
{
    private static readonly Scalar s_one = 1.0f.ToScalar();
    private readonly long _channels;
    private readonly long _stride;
#pragma warning disable IDE0044, CA1859 // the fields' names are the state dictionary's keys
    private readonly Conv2d conv1;
    private readonly BatchNorm2d bn1;
    private readonly Conv2d conv2;
    private readonly BatchNorm2d bn2;
#pragma warning restore IDE0044, CA1859

    public BasicBlock(long inputs, long channels, long stride) : base(nameof(BasicBlock))
    {
        _channels = channels;
        _stride = stride;
        conv1 = nn.Conv2d(inputs, channels, 3, stride: stride, padding: 1, bias: false);
        bn1 = nn.BatchNorm2d(channels);
        conv2 = nn.Conv2d(channels, channels, 3, padding: 1, bias: false);
        bn2 = nn.BatchNorm2d(channels);
        RegisterComponents();
    }

    /// <summary>Maps B×inputs×H×W to B×channels×(H/stride)×(W/stride).</summary>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor inner = nn.functional.relu(bn1.forward(conv1.forward(x)), inplace: true);
        Tensor outer = bn2.forward(conv2.forward(inner));
        bool same = _stride == 1 && x.size(1) == _channels;
        outer.add_(same ? x : ChannelPadding.Apply(x, _channels, _stride), s_one);
        return nn.functional.relu(outer, inplace: true).MoveToOuterDisposeScope();
    }
}
