using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A sparse tensor as a matrix: the loops of compressed rows on its values, and where gradients are asked for,
/// products with the values as autograd sees them, so that the gradient of the tensor is sparse as well.
/// </summary>
internal sealed class SparseOperator : LinearOperator
{
    private readonly Tensor source;
    private readonly SparseEntries entries;
    private readonly CsrOperator rows;          // with the values as they are in memory, in the order of the rows

    private SparseOperator(Tensor source, SparseEntries entries, CsrOperator rows)
        : base(rows.InputShape, rows.OutputShape, rows.dtype, rows.device) =>
        (this.source, this.entries, this.rows) = (source, entries, rows);

    /// <summary>The operator of a sparse tensor, whose new tensors belong to the current dispose scope.</summary>
    public static SparseOperator Of(Tensor source)
    {
        using var scope = NewDisposeScope();
        SparseEntries entries = SparseEntries.Of(source);
        CsrOperator rows = InRows(source, entries);
        foreach (Tensor held in rows.Held.Concat(entries.Held))
            scope.MoveToOuter(held);
        return new SparseOperator(source, entries, rows);
    }

    private static CsrOperator InRows(Tensor source, SparseEntries entries)
    {
        using var guard = no_grad();
        return (CsrOperator)FromCsr(entries.InOrder(entries.Values), entries.ColumnOf, entries.Starts, source.size(1));
    }

    // Entries of a tensor that was not coalesced lie in another order, and are read anew for each solve.
    private CsrOperator Plain() => entries.IsInOrder ? rows : rows.With(entries.InOrder(entries.Values));

    private LinearOperator Current
    {
        get
        {
            if (!is_grad_enabled() || !source.requires_grad)
                return Plain();
            SparseEntries found = SparseEntries.Differentiable(source);
            return entries.IsCoalesced ? rows.With(found.Values)
                : FromCsr(found.Values, found.ColumnOf, found.Starts, Columns);
        }
    }

    protected internal override Tensor MatVec(Tensor v) => Scoped(v, Augmented.Product);

    protected internal override Tensor VecMat(Tensor u) => Scoped(u, Augmented.TransposedProduct);

    protected internal override Tensor MatVecs(Tensor V) => Scoped(V, Augmented.Product);

    protected internal override Tensor VecMats(Tensor U) => Scoped(U, Augmented.TransposedProduct);

    private Tensor Scoped(Tensor x, Func<LinearOperator, Tensor, Tensor> product)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(product(Current, x));
    }

    protected internal override LinearOperator Prepare() => Plain().Prepare();

    internal override bool MayWriteBuffer => false;

    internal override void RequireUnchanged()
    {
        Require.Unchanged(source, "The sparse tensor", [OutputShape[0], InputShape[0]], dtype, device.type);
        entries.RequireOf(source);
        rows.RequireUnchanged();
    }

    internal override EntryNorms? Norms() => Plain().Norms();

    internal override Tensor? ColumnNorms() => Plain().ColumnNorms();

    internal override Tensor? Sketched(SparseSigns S) => Plain().Sketched(S);

    internal override bool MayRequireGrad => source.requires_grad;

    internal override IEnumerable<Tensor> Held => [source];

    internal override LinearOperator With(Queue<Tensor> held) => new SparseOperator(held.Dequeue(), entries, rows);
}

public abstract partial class LinearOperator
{
    /// <summary>
    /// A sparse tensor of two dimensions in coordinates (COO, coalesced or not) or compressed rows (CSR); maps
    /// (columns) to (rows). Entries of the same place add up. The products are those of <c>FromCsr</c>. Gradients
    /// reach the tensor, and are sparse like it, with one entry for each place. Its values may be changed in place,
    /// but not its places.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// The tensor is dense or of another layout, has not two dimensions, has dense dimensions (a hybrid), or is
    /// neither float32 nor float64.
    /// </exception>
    public static LinearOperator FromSparse(Tensor matrix)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        if (matrix.dim() != 2)
            throw new ArgumentException(
                $"A matrix has two dimensions, but the tensor has shape {Text.Shape(matrix.shape)}.", nameof(matrix));
        Require.RealFloat(matrix.dtype, "an operator");
        if (Layout.Of(matrix) is not (Layout.Coordinates or Layout.CompressedRows))
            throw new ArgumentException(
                "A sparse matrix must be a tensor of coordinates (COO) or compressed rows (CSR), but this one is "
                    + "dense or of another layout; FromMatrix takes a dense one.", nameof(matrix));
        return SparseOperator.Of(matrix);
    }
}
