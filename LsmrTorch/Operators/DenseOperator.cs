using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>A dense matrix, m × n.</summary>
internal sealed class DenseOperator : LinearOperator
{
    private readonly Tensor matrix;
    private readonly FusedDense? fused;     // while a solve lasts, in which the matrix stays where it is

    public DenseOperator(Tensor matrix) : this(matrix, null)
    {
    }

    private DenseOperator(Tensor matrix, FusedDense? fused) : base([matrix.shape[1]], [matrix.shape[0]], matrix.dtype, matrix.device)
    {
        this.matrix = matrix;
        this.fused = fused;
    }

    protected internal override Tensor MatVec(Tensor v) => matrix.mv(v);

    protected internal override Tensor VecMat(Tensor u)
    {
        using Tensor transpose = matrix.t();
        return transpose.mv(u);
    }

    // (VᵀAᵀ)ᵀ and (UᵀA)ᵀ: with few columns libtorch's product takes up to five times as long the other way round.
    protected internal override Tensor MatVecs(Tensor V)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(V.t().mm(matrix.t()).t().contiguous());
    }

    protected internal override Tensor VecMats(Tensor U)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(U.t().mm(matrix).t().contiguous());
    }

    // A transposed view of a row-major matrix, or one that is column-major, is read by its columns.
    internal override Fusion Fusion =>
        fused is not null ? (fused.IsTransposed ? Fusion.Transposed : Fusion.Step)
        : FusedDense.Fits(matrix, false) ? Fusion.Step
        : FusedDense.Fits(matrix, true) ? Fusion.Transposed
        : Fusion.None;

    protected internal override LinearOperator Prepare() => Fusion == Fusion.None ? this : new DenseOperator(matrix, Kernel());

    internal override bool MayWriteBuffer => false;

    internal override void RequireUnchanged()
    {
        Require.Unchanged(matrix, "The matrix", [OutputShape[0], InputShape[0]], dtype, device.type);
        fused?.RequireLayout();
    }

    internal override double FusedStep(Tensor v, Tensor u, double alpha, Tensor image) => (fused ?? Kernel()).Step(v, u, alpha, image);

    internal override double FusedTransposedStep(Tensor u, Tensor v, double beta, Tensor image) => (fused ?? Kernel()).Step(u, v, beta, image);

    // By rows, or by those of the transpose.
    private FusedDense Kernel() => new(matrix, Fusion == Fusion.Transposed);

    internal override EntryNorms? Norms()
    {
        if (Fusion != Fusion.Transposed)
            return EntryNorms.Of(matrix);
        using Tensor transpose = matrix.t();
        return EntryNorms.Of(transpose).T;
    }

    internal override Tensor? Sketched(SparseSigns S) => S.Times(matrix);

    internal override bool MayRequireGrad => matrix.requires_grad;

    internal override bool HoldsAll => true;

    internal override bool MayChangeUnseen => false;

    internal override IEnumerable<Tensor> Held => [matrix];

    internal override LinearOperator With(Queue<Tensor> held) => new DenseOperator(held.Dequeue());
}

public abstract partial class LinearOperator
{
    /// <summary>
    /// A matrix of shape (m, n), contiguous or a view; maps (n) to (m). Gradients reach the matrix. A sparse one is
    /// that of <see cref="FromSparse"/>.
    /// </summary>
    /// <exception cref="ArgumentException">Not two dimensions, or neither float32 nor float64.</exception>
    public static LinearOperator FromMatrix(Tensor matrix)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        if (matrix.dim() != 2)
            throw new ArgumentException($"A matrix has two dimensions, but the tensor has shape {Text.Shape(matrix.shape)}.", nameof(matrix));
        return Layout.Of(matrix) == Layout.Strided ? new DenseOperator(matrix) : FromSparse(matrix);
    }
}
