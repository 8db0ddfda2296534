using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>A matrix in compressed rows, float64, with the row of each entry beside its column for libtorch's scatter form.</summary>
internal sealed class CsrMatrix(Tensor values, Tensor columnIndices, Tensor rowStarts, long columns)
{
    public Tensor Values { get; } = values;

    public Tensor ColumnIndices { get; } = columnIndices;

    public Tensor RowStarts { get; } = rowStarts;

    public Tensor RowOf { get; } = arange(rowStarts.numel() - 1, int64, values.device).repeat_interleave(rowStarts.diff());

    public long Rows => RowStarts.numel() - 1;

    public long Columns => columns;

    /// <summary>Values, columns and row starts.</summary>
    public long Bytes => 8 * ((2 * Values.numel()) + RowStarts.numel());

    public LinearOperator Operator() => LinearOperator.FromCsr(Values, ColumnIndices, RowStarts, Columns);

    /// <summary>A v as TorchSharp has it: gather, multiply, scatter.</summary>
    public Tensor Product(Tensor v) => Gather(v, ColumnIndices, RowOf, Rows);

    /// <summary>Aᵀu in the same way.</summary>
    public Tensor TransposedProduct(Tensor u) => Gather(u, RowOf, ColumnIndices, Columns);

    /// <summary>A and Aᵀ as libtorch's own sparse CSR tensors, which TorchSharp reaches by TorchScript alone.</summary>
    public (Tensor Matrix, Tensor Transpose) Sparse()
    {
        using var scope = NewDisposeScope();
        using jit.CompilationUnit script = jit.compile("def csr(a):\n    return a.coalesce().to_sparse_csr()\n");
        Tensor matrix = sparse_coo_tensor(stack([RowOf, ColumnIndices]), Values, [Rows, Columns]);
        Tensor transpose = sparse_coo_tensor(stack([ColumnIndices, RowOf]), Values, [Columns, Rows]);
        return scope.MoveToOuter((Tensor)script.invoke("csr", matrix), (Tensor)script.invoke("csr", transpose));
    }

    /// <summary>
    /// A generated one: each row has its entries at random places, one in each of as many equal parts of the row; the columns' sizes
    /// fall from 1 to 1/<paramref name="spread"/>, so that a solve has many iterations to do.
    /// </summary>
    public static CsrMatrix Random(long rows, long columns, int perRow, double spread, Generator generator, Device device)
    {
        using var scope = NewDisposeScope();
        long part = columns / perRow;
        Tensor indices = randint(0, part, [rows, perRow], int64, generator: generator).add(arange(perRow, int64).mul(part)).reshape(-1);
        Tensor values = Scaled(randn(rows * perRow, float64, generator: generator), indices, columns, spread);
        return Kept(scope, values.to(device), indices.to(device), arange(0, (rows * perRow) + 1, perRow, int64).to(device), columns);
    }

    /// <summary>The same with so many entries in all, shared out evenly over the rows.</summary>
    public static CsrMatrix OfEntries(int rows, int columns, int entries, double spread, Random random, Generator generator, Device device)
    {
        using var scope = NewDisposeScope();
        var indices = new List<long>(entries);
        var starts = new List<long> { 0 };
        for (int row = 0; row < rows; row++) {
            int own = (entries / rows) + (row < entries % rows ? 1 : 0);
            int part = columns / own;
            for (int k = 0; k < own; k++) {
                indices.Add((k * part) + random.Next(part));
            }
            starts.Add(indices.Count);
        }
        Tensor columnIndices = tensor(indices.ToArray());
        Tensor values = Scaled(randn(entries, float64, generator: generator), columnIndices, columns, spread);
        return Kept(scope, values.to(device), columnIndices.to(device), tensor(starts.ToArray()).to(device), columns);
    }

    /// <summary>One that was read from a file.</summary>
    public static CsrMatrix Of(SparseMatrix matrix, Device device)
    {
        using var scope = NewDisposeScope();
        return Kept(scope, tensor(matrix.Values).to(device), tensor(matrix.ColumnIndices).to(device), tensor(matrix.RowStarts).to(device), matrix.Columns);
    }

    private static CsrMatrix Kept(DisposeScope scope, Tensor values, Tensor columnIndices, Tensor rowStarts, long columns)
    {
        var matrix = new CsrMatrix(values, columnIndices, rowStarts, columns);
        _ = scope.MoveToOuter(values, columnIndices, rowStarts);
        _ = scope.MoveToOuter(matrix.RowOf);
        return matrix;
    }

    private static Tensor Scaled(Tensor values, Tensor columnOf, long columns, double spread) =>
        values.mul(columnOf.to(float64).mul(-Math.Log(spread) / columns).exp());

    private Tensor Gather(Tensor x, Tensor from, Tensor to, long length)
    {
        using Tensor picked = x.index_select(0, from);
        using Tensor products = picked.mul(Values);
        using Tensor zero = zeros(length, Values.dtype, Values.device);
        return zero.scatter_add(0, to, products);
    }
}
