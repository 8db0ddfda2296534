using LsmrTorch.Experiments.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>A plain network, N×20 to symmetric N×3×3, that knows nothing of rotations.</summary>
internal sealed class InertiaMlp : nn.Module<Tensor, Tensor>
{
    private static readonly Scalar s_half = 0.5f.ToScalar();
#pragma warning disable IDE0044, CA1859 // the field's name is the state dictionary's key
    private readonly Perceptron body;
#pragma warning restore IDE0044, CA1859

    public InertiaMlp(int hidden, long seed) : base(nameof(InertiaMlp))
    {
        body = new Perceptron([20, hidden, hidden, 9], Activation.Silu, seed);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor y = body.forward(x).view(-1, 3, 3);
        return y.add(y.transpose(1, 2)).mul(s_half).MoveToOuterDisposeScope();
    }
}
