using LsmrTorch.Experiments.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>
/// A network whose hidden numbers are scalars and vectors in space. Between its linear layers stands only what commutes with O(3): functions of scalars, vectors
/// times a function of a scalar, squared lengths, and the products vvᵀ. Its weights are any matrices; it is equivariant where each commutes with the
/// representations of its layer. A one stands among the inputs of each layer, so that biases are weights.
/// </summary>
internal sealed class TensorNet : nn.Module<Tensor, Tensor>
{
    private static readonly Scalar s_half = 0.5f.ToScalar();
    private readonly int _scalars;
    private readonly int _vectors;
#pragma warning disable IDE0044, CA1859 // the fields' names are the state dictionary's keys
    private readonly Parameter first;
    private readonly Parameter second;
    private readonly Parameter last;
#pragma warning restore IDE0044, CA1859

    public TensorNet(int scalars, int vectors, long seed) : base(nameof(TensorNet))
    {
        (_scalars, _vectors) = (scalars, vectors);
        var hidden = new Representation(scalars + vectors, vectors, 0);
        (Representation To, Representation From)[] kinds = [
            (hidden, new Representation(6, 5, 0)),
            (hidden, new Representation(1 + scalars + vectors, vectors, 0)),
            (new Representation(0, 0, 1), new Representation(1 + scalars, 0, vectors)),
        ];
        first = New(kinds[0]);
        second = New(kinds[1]);
        last = New(kinds[2]);
        Layers = [(first, kinds[0].To, kinds[0].From), (second, kinds[1].To, kinds[1].From), (last, kinds[2].To, kinds[2].From)];
        RegisterComponents();
        using var random = new Initialisation(seed);
        foreach ((Parameter weight, _, _) in Layers) {
            random.Uniform(weight, 3 / Math.Sqrt(weight.size(1)));    // of three times three numbers between two vectors the constraint leaves one, their mean
        }

        static Parameter New((Representation To, Representation From) kind) => nn.Parameter(zeros(kind.To.Dimension, kind.From.Dimension));
    }

    /// <summary>Each layer's weights with the representations that they lead to and from.</summary>
    public IReadOnlyList<(Parameter Weight, Representation To, Representation From)> Layers { get; }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor one = ones(x.size(0), 1);
        (Tensor s, Tensor v) = Gated(cat([one, x], 1).matmul(first.t()));
        Tensor lengths = v.mul(v).sum(2).log1p();
        (s, v) = Gated(cat([one, s, lengths, v.reshape(-1, 3 * _vectors)], 1).matmul(second.t()));
        Tensor products = v.unsqueeze(3).mul(v.unsqueeze(2)).reshape(-1, 9 * _vectors);
        Tensor y = cat([one, s, products], 1).matmul(last.t()).view(-1, 3, 3);
        return y.add(y.transpose(1, 2)).mul(s_half).MoveToOuterDisposeScope();
    }

    private (Tensor Scalars, Tensor Vectors) Gated(Tensor h)
    {
        Tensor gates = h.narrow(1, _scalars, _vectors).sigmoid().unsqueeze(2);
        return (nn.functional.silu(h.narrow(1, 0, _scalars)), h.narrow(1, _scalars + _vectors, 3 * _vectors).reshape(-1, _vectors, 3).mul(gates));
    }
}
