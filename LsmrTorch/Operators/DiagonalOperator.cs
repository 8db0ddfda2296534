using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Multiplication by a tensor, entry by entry.</summary>
internal sealed class DiagonalOperator(Tensor diagonal)
    : LinearOperator(diagonal.shape, diagonal.shape, diagonal.dtype, diagonal.device)
{
    public override LinearOperator T => this;

    protected internal override Tensor MatVec(Tensor v) => v.mul(diagonal);

    protected internal override Tensor VecMat(Tensor u) => u.mul(diagonal);

    protected internal override Tensor MatVecs(Tensor V)
    {
        using Tensor factors = diagonal.unsqueeze(-1);
        return V.mul(factors);
    }

    protected internal override Tensor VecMats(Tensor U) => MatVecs(U);

    internal override bool MayWriteBuffer => false;

    internal override void RequireUnchanged() =>
        Require.Unchanged(diagonal, "The diagonal", [.. InputShape], dtype, device.type);

    internal override EntryNorms? Norms()
    {
        using Tensor entries = diagonal.to(float64);
        Tensor norms = entries.abs();
        return new(norms, norms);
    }

    internal override bool MayRequireGrad => diagonal.requires_grad;

    internal override bool HoldsAll => true;

    internal override bool MayChangeUnseen => false;

    internal override IEnumerable<Tensor> Held => [diagonal];

    internal override LinearOperator With(Queue<Tensor> held) => new DiagonalOperator(held.Dequeue());
}

/// <summary>The identity.</summary>
internal sealed class IdentityOperator(IEnumerable<long> shape, ScalarType dtype, Device device)
    : LinearOperator(shape, shape, dtype, device)
{
    public override LinearOperator T => this;

    protected internal override Tensor MatVec(Tensor v) => v.alias();

    protected internal override Tensor VecMat(Tensor u) => u.alias();

    protected internal override Tensor MatVecs(Tensor V) => V.alias();

    protected internal override Tensor VecMats(Tensor U) => U.alias();

    internal override bool MayWriteBuffer => false;

    internal override EntryNorms? Norms()
    {
        Tensor norms = ones([.. InputShape], float64, device);
        return new(norms, norms);
    }

    internal override bool MayRequireGrad => false;

    internal override bool HoldsAll => true;

    internal override bool MayChangeUnseen => false;
}

public abstract partial class LinearOperator
{
    /// <summary>v ↦ diagonal ∘ v, for vectors of the diagonal's shape. Gradients reach the diagonal.</summary>
    public static LinearOperator Diagonal(Tensor diagonal)
    {
        return new DiagonalOperator(Require.Strided(diagonal, nameof(diagonal)));
    }

    /// <summary>v ↦ v.</summary>
    public static LinearOperator Identity(ReadOnlySpan<long> shape, ScalarType dtype = ScalarType.Float32, Device? device = null) =>
        new IdentityOperator([.. shape], dtype, device ?? CPU);
}
