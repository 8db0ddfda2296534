using System.Text.Json;
using LsmrTorch.Datasets;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests;

/// <summary>The reference cases and matrices of the shared data, where they lie beside the project.</summary>
internal static class RealData
{
    public sealed record SmallCase(
        string Name, int M, int N, double[] A_rowmajor, double[] B, double Damp, double[] X0, double[] G, int Rank, double[] X,
        double[] DL_db, double[] DL_dA_rowmajor, double[] DL_dx0, double DL_ddamp)
    {
        public override string ToString() => Name;
    }

    public sealed record RealCase(
        string Name, double Damp, double Sigma_max, double Sigma_min, double Norm_x, double Normr, double[] X_first5,
        double Norm_p, double Norm_w, double[] P_first5, double[] W_first5)
    {
        public override string ToString() => FormattableString.Invariant($"{Name}, damp {Damp}");
    }

    private sealed record Cases(SmallCase[] Small, RealCase[] Real);

    private static Cases Read()
    {
        string? path = SharedData.Find("least_squares_cases.json");
        return path is null ? new Cases([], [])
            : JsonSerializer.Deserialize<Cases>(File.ReadAllText(path), new JsonSerializerOptions { PropertyNameCaseInsensitive = true })!;
    }

    /// <summary>The small cases; null alone where the data are absent, so that the test can say that it is skipped.</summary>
    public static IEnumerable<SmallCase?> SmallCases() => Read().Small.DefaultIfEmpty();

    /// <summary>The rows for the real matrices; null alone where the data are absent.</summary>
    public static IEnumerable<RealCase?> RealCases() => Read().Real.DefaultIfEmpty();

    /// <summary>A real matrix as an operator, and its right-hand side.</summary>
    public static (LinearOperator A, Tensor b) Matrix(string name)
    {
        SparseMatrix matrix = MatrixMarket.ReadMatrix(SharedData.Require($"matrices/{name}.mtx.gz"));
        LinearOperator A = LinearOperator.FromCsr(tensor(matrix.Values), tensor(matrix.ColumnIndices), tensor(matrix.RowStarts), matrix.Columns);
        return (A, tensor(MatrixMarket.ReadVector(SharedData.Require($"matrices/{name}_rhs1.mtx.gz"))));
    }
}
