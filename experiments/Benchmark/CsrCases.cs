using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>Our iteration with a CSR matrix beside the same as for a dense one, and libtorch's own CSR product.</summary>
internal static class CsrCases
{
    private const int PerRow = 10;

    // well1033: what the generated one stands for where the file is not there.
    private const int WellRows = 1033, WellColumns = 320, WellEntries = 4732;

    /// <summary>A generated matrix.</summary>
    public static IEnumerable<Case> Of(CsrSize size, Workbench bench)
    {
        using Generator generator = Seeds.Torch(bench.Seed, size.Name);
        int rows = size.Entries / PerRow;
        return [Of(size.Name, CsrMatrix.Random(rows, rows / 2, PerRow, Workbench.Spread, generator, bench.Device), size.Limits, bench)];
    }

    /// <summary>Where the folder of the data has well1033; null without such a folder.</summary>
    /// <exception cref="ExperimentException">There is a folder, but no such file in it.</exception>
    public static string? WellFile(string? data)
    {
        if (data is null) {
            return null;
        }
        string file = Path.Combine(data, "matrices", "well1033.mtx.gz");
        return File.Exists(file) ? file : throw new ExperimentException($"There is no {Quoted.Path(file)}: without --data a generated matrix takes its place.");
    }

    /// <summary>well1033 from its file, or without one a generated matrix as large, which is named generated1033.</summary>
    public static IEnumerable<Case> Well(string? file, Workbench bench)
    {
        var limits = new Limits(20, 120);
        if (file is not null) {
            SparseMatrix matrix = MatrixMarket.ReadMatrix(file);
            return [Of("well1033", CsrMatrix.Of(matrix, bench.Device), limits, bench)];
        }
        using Generator generator = Seeds.Torch(bench.Seed, "generated1033");
        Random random = Seeds.Managed(bench.Seed, "generated1033");
        return [Of("generated1033",
            CsrMatrix.OfEntries(WellRows, WellColumns, WellEntries, Workbench.Spread, random, generator, bench.Device), limits, bench)];
    }

    private static Case Of(string name, CsrMatrix matrix, Limits limits, Workbench bench)
    {
        Tensor b = bench.Vector(name + " b", float64, matrix.Rows), v = bench.Vector(name + " v", float64, matrix.Columns);
        (Tensor sparse, Tensor sparseTranspose) = matrix.Sparse();
        return new Case(name, "csr", matrix.Bytes, bench.Sizes.RoundsOf(matrix.Bytes), [
            bench.Ours("ours", matrix.Operator(), b, limits),
            bench.Call("read", () => {
                matrix.Values.sum();
                matrix.ColumnIndices.sum();
            }),
            bench.Call("libtorch_products", () => {
                matrix.Product(v);
                matrix.TransposedProduct(b);
            }),
            bench.Call("libtorch_csr", () => {
                sparse.mv(v);
                sparseTranspose.mv(b);
            }),
            bench.Naive(matrix.Product, matrix.TransposedProduct, b, limits),
            .. bench.OthersOn(limits, isCsr: true, other => other.Load(matrix, b)),
        ]);
    }
}
