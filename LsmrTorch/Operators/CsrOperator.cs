using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>A sparse matrix in compressed rows, with the row of each entry kept beside its column.</summary>
internal sealed class CsrOperator : LinearOperator
{
    private readonly Tensor values, columnOf, rowOf, rowStarts;
    private readonly CsrArrays? prepared;           // for the loops of our own, while a solve lasts
    private nint address;                           // of the values, where their layout was seen
    private readonly DeviceCsr? places;             // for libtorch's CSR tensors, elsewhere than on the CPU
    private readonly (Tensor A, Tensor T)? sparse;  // those tensors, while a solve lasts

    public CsrOperator(Tensor values, Tensor columnOf, Tensor rowOf, Tensor rowStarts, long columns, DeviceCsr? places)
        : base([columns], [rowStarts.numel() - 1], values.dtype, values.device)
    {
        (this.values, this.columnOf, this.rowOf, this.rowStarts, this.places) = (values, columnOf, rowOf, rowStarts, places);
    }

    private CsrOperator(CsrOperator A, CsrArrays? prepared, (Tensor, Tensor)? sparse)
        : this(A.values, A.columnOf, A.rowOf, A.rowStarts, A.Columns, A.places)
    {
        (this.prepared, this.sparse) = (prepared, sparse);
        if (prepared is not null)
            address = Memory.Address(values);
    }

    /// <summary>The same places with other values, in the same order.</summary>
    public CsrOperator With(Tensor others) => new(others, columnOf, rowOf, rowStarts, Columns, places);

    internal override bool MayWriteBuffer => false;

    internal override void RequireUnchanged()
    {
        Require.Unchanged(values, "The values", [columnOf.numel()], dtype, device.type);
        if (prepared is not null)
            RequireLayout();
    }

    // The arrays for the loops of our own, where they suit them: as they are now, since set_ can change the values.
    private CsrArrays? Own()
    {
        if (prepared is not null) {
            if (Memory.Address(values) != address)
                RequireLayout();
            return prepared;
        }
        if (places is not null || values.numel() == 0 || !Suits())
            return null;
        return new CsrArrays(values, columnOf, rowStarts, Columns, IsScattered: false);
    }

    private bool Suits() =>
        values.device_type == DeviceType.CPU && values.dtype == dtype && values.numel() == columnOf.numel()
        && !Memory.IsNegative(values) && values.is_contiguous();

    private void RequireLayout()
    {
        if (!Suits())
            throw new ArgumentException(
                $"The values of an operator must stay contiguous, and {columnOf.numel()} of {dtype}, while it is "
                    + $"used, but are now {values.numel()} of {values.dtype}; make the operator anew.");
        address = Memory.Address(values);
    }

    // 32 bits a column make steps a quarter faster where the matrix comes from memory, for half the size of the columns once more;
    // where it stays in the cache they bring nothing.
    protected internal override LinearOperator Prepare()
    {
        if (places is { } found && sparse is null)
            return new CsrOperator(this, null, found.Matrices(values, Rows, Columns));
        if (prepared is not null || Own() is not { } arrays)
            return this;
        return columnOf.numel() >= 1 << 16 && Columns <= int.MaxValue
            ? new CsrOperator(this, arrays with { ColumnOf = columnOf.to(int32), IsScattered = FusedCsr.IsScattered(columnOf, Columns) }, null)
            : new CsrOperator(this, arrays, null);
    }

    internal override Fusion Fusion => Own() is null ? Fusion.None : Fusion.Step;

    internal override double FusedStep(Tensor v, Tensor u, double alpha, Tensor image)
    {
        if (Own() is not { } arrays)
            throw new InvalidOperationException(
                "The values of a sparse matrix were changed in shape while it was multiplied with.");
        return FusedCsr.Step(arrays, v, u, alpha, image);
    }

    protected internal override Tensor MatVec(Tensor v) =>
        sparse is { } by ? by.A.mv(v)
            : Ours(v, Columns, 1) is { } own ? Product(own, v, [Rows], isTransposed: false)
            : Gather(v, columnOf, rowOf, Rows);

    protected internal override Tensor VecMat(Tensor u) =>
        sparse is { } by ? by.T.mv(u)
            : Ours(u, Rows, 1) is { } own ? Product(own, u, [Columns], isTransposed: true)
            : Gather(u, rowOf, columnOf, Columns);

    protected internal override Tensor MatVecs(Tensor V) =>
        sparse is { } by ? by.A.mm(V)
            : Ours(V, Columns, 2) is { } own ? Product(own, V, [Rows, V.size(1)], isTransposed: false)
            : GatherColumns(V, columnOf, rowOf, Rows);

    protected internal override Tensor VecMats(Tensor U) =>
        sparse is { } by ? by.T.mm(U)
            : Ours(U, Rows, 2) is { } own ? Product(own, U, [Columns, U.size(1)], isTransposed: true)
            : GatherColumns(U, rowOf, columnOf, Columns);

    // Autograd does not see our loops, and what does not fit is for libtorch to refuse.
    private CsrArrays? Ours(Tensor x, long length, long dimensions) =>
        !(is_grad_enabled() && (values.requires_grad || x.requires_grad))
        && x.dtype == dtype && x.device_type == DeviceType.CPU && x.dim() == dimensions && x.size(0) == length
            ? Own()
            : null;

    private Tensor Product(in CsrArrays own, Tensor x, long[] shape, bool isTransposed)
    {
        using Tensor from = Memory.Plain(x);
        Tensor result = empty(shape, dtype, device);
        CsrProducts.Write(own, from, result, isTransposed);
        return result;
    }

    // result[to[k]] += values[k] * x[from[k]], in the order of k: the same bits on every run.
    private Tensor Gather(Tensor x, Tensor from, Tensor to, long length)
    {
        using Tensor picked = x.index_select(0, from);
        using Tensor products = picked.mul(values);
        using Tensor zero = zeros(length, dtype, device);
        return zero.scatter_add(0, to, products);
    }

    private Tensor GatherColumns(Tensor X, Tensor from, Tensor to, long length)
    {
        using var scope = NewDisposeScope();
        long columns = X.shape[1];
        Tensor products = X.index_select(0, from).mul(values.unsqueeze(1));
        Tensor target = to.unsqueeze(1).expand(to.numel(), columns);
        return scope.MoveToOuter(zeros(length, columns, dtype, device).scatter_add(0, target, products));
    }

    // Entries of the same place are counted apart, which a norm for a check may.
    internal override EntryNorms? Norms() =>
        Own() is { } arrays && EntrySquares.Norms(arrays, out _) is var found && Vectors.Norm(found.Rows) is > 1e-100 and < 1e150
            ? found : ExactNorms();

    internal override Tensor? ColumnNorms() =>
        Own() is { } arrays && EntrySquares.Norms(arrays, out bool areApart) is var found && areApart && Vectors.Norm(found.Rows) is > 1e-100 and < 1e150
            ? found.Columns : ExactNorms().Columns;

    private EntryNorms ExactNorms()
    {
        using var scope = NewDisposeScope();
        using Scalar width = Columns, one = 1;
        // Entries of the same place add up before they are squared.
        (Tensor places, Tensor? placeOf, _) = rowOf.mul(width).add(columnOf, one).unique(sorted: true, return_inverse: true);
        Tensor entries = zeros(places.numel(), float64, device).scatter_add(0, placeOf!, values.to(float64));
        double peak = entries.numel() == 0 ? 0 : Vectors.Read(entries.abs().max());
        double unit = peak > 0 && double.IsFinite(peak) ? EntryNorms.Unit(peak) : 1;
        Vectors.Divide(entries, unit);
        Tensor squares = entries.mul(entries);
        Tensor Sums(Tensor of, long length) => zeros(length, float64, device).scatter_add(0, of, squares).sqrt_();
        EntryNorms norms = new EntryNorms(Sums(places.div(width, RoundingMode.floor), Rows), Sums(places.remainder(width), Columns)).Times(unit);
        return new(scope.MoveToOuter(norms.Rows), scope.MoveToOuter(norms.Columns));
    }

    internal override Tensor? Sketched(SparseSigns S) => S.Times(values, columnOf, rowOf, Columns);

    internal override bool MayRequireGrad => values.requires_grad;

    internal override bool HoldsAll => true;

    internal override bool MayChangeUnseen => false;

    internal override IEnumerable<Tensor> Held => [values, columnOf, rowOf, rowStarts, .. places?.Held ?? []];

    internal override LinearOperator With(Queue<Tensor> held) =>
        new CsrOperator(held.Dequeue(), held.Dequeue(), held.Dequeue(), held.Dequeue(), Columns, places is null ? null : DeviceCsr.From(held));
}

public abstract partial class LinearOperator
{
    /// <summary>
    /// A sparse matrix in compressed sparse rows: row i has the entries rowStarts[i] … rowStarts[i + 1] − 1. Entries of
    /// the same row and column add up; columns need not be sorted. Maps (columns) to (m). Gradients reach the values.
    /// </summary>
    /// <param name="values">The nnz entries, float32 or float64.</param>
    /// <param name="columnIndices">The nnz columns, int32 or int64, from 0 to columns − 1.</param>
    /// <param name="rowStarts">m + 1 offsets, int32 or int64, from 0 up to nnz.</param>
    /// <param name="columns">n, the number of columns.</param>
    /// <exception cref="ArgumentException">The three arrays do not describe a matrix with that many columns.</exception>
    public static LinearOperator FromCsr(Tensor values, Tensor columnIndices, Tensor rowStarts, long columns)
    {
        ArgumentNullException.ThrowIfNull(values);
        return FromCsr(values, columnIndices, rowStarts, columns, onDevice: values.device_type != DeviceType.CPU);
    }

    /// <summary>The same, by libtorch's CSR tensors or not.</summary>
    internal static LinearOperator FromCsr(Tensor values, Tensor columnIndices, Tensor rowStarts, long columns, bool onDevice)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        foreach ((Tensor x, string name) in new[] { (values, nameof(values)), (columnIndices, nameof(columnIndices)), (rowStarts, nameof(rowStarts)) }) {
            Require.Strided(x, name);
            if (x.dim() != 1)
                throw new ArgumentException($"{name} must have one dimension, but has shape {Text.Shape(x.shape)}.", name);
        }
        foreach ((Tensor x, string name) in new[] { (columnIndices, nameof(columnIndices)), (rowStarts, nameof(rowStarts)) }) {
            if (x.dtype is not (ScalarType.Int64 or ScalarType.Int32))
                throw new ArgumentException($"{name} must be int32 or int64, but is {x.dtype}.", name);
        }
        long entries = values.numel(), rows = rowStarts.numel() - 1;
        if (columnIndices.numel() != entries)
            throw new ArgumentException($"There are {entries} values but {columnIndices.numel()} column indices.", nameof(columnIndices));
        if (rows < 0)
            throw new ArgumentException("rowStarts must have an entry more than there are rows, but is empty.", nameof(rowStarts));
        if (columns < 0)
            throw new ArgumentException($"A matrix must not have fewer columns than 0, but is to have {columns}.",
                nameof(columns));
        (Tensor, string)[] indices = [(columnIndices, nameof(columnIndices)), (rowStarts, nameof(rowStarts))];
        foreach ((Tensor x, string name) in indices) {
            if (x.device.ToString() != values.device.ToString())
                throw new ArgumentException(
                    $"{name} must lie where the values do, on {values.device}, but lies on {x.device}.", name);
        }
        Tensor starts = Memory.Plain(rowStarts.to(int64, copy: true)), lengths = starts.diff();
        if (starts[0].item<long>() != 0 || starts[-1].item<long>() != entries || (rows > 0 && lengths.min().item<long>() < 0))
            throw new ArgumentException($"rowStarts must rise from 0 to the number of values, {entries}.", nameof(rowStarts));
        if (entries > 0 && (columnIndices.min().to(int64).item<long>() < 0 || columnIndices.max().to(int64).item<long>() >= columns))
            throw new ArgumentException(columns == 0
                ? $"A matrix without columns has no values, but there are {entries}."
                : $"Column indices must lie between 0 and {columns - 1}.", nameof(columnIndices));
        Tensor columnOf = Memory.Plain(columnIndices.to(int64, copy: true));
        using Scalar count = rows;
        Tensor rowOf = arange(count, int64, values.device).repeat_interleave(lengths);
        DeviceCsr? places = null;
        if (onDevice) {
            places = DeviceCsr.Of(starts, columnOf, rowOf, columns);
            scope.MoveToOuter(places.Value.Held);
        }
        return new CsrOperator(values, scope.MoveToOuter(columnOf), scope.MoveToOuter(rowOf), scope.MoveToOuter(starts), columns, places);
    }
}
