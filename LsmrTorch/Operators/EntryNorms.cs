using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The Euclidean norms of a matrix's rows and columns, float64, free of overflow and underflow.</summary>
/// <param name="Rows">‖Aᵀe_i‖, of the operator's OutputShape.</param>
/// <param name="Columns">‖A e_j‖, of the operator's InputShape.</param>
internal readonly record struct EntryNorms(Tensor Rows, Tensor Columns)
{
    /// <summary>Those of the transposed matrix.</summary>
    public EntryNorms T => new(Columns, Rows);

    /// <summary>Those of s times the matrix.</summary>
    public EntryNorms Times(double s)
    {
        using Scalar factor = Math.Abs(s);
        return new(Rows.mul(factor), Columns.mul(factor));
    }

    /// <summary>Those of a dense matrix of any layout.</summary>
    public static EntryNorms Of(Tensor matrix)
    {
        // The squares of most matrices stay in range; where the sum of all says that some may not, they are taken in a unit.
        EntryNorms norms = Of(matrix, 1);
        double largest = Vectors.Norm(norms.Rows);
        if (largest is > 1e-100 and < 1e150 || matrix.numel() == 0)
            return norms;
        using Tensor magnitudes = matrix.abs();
        using Tensor most = magnitudes.max();
        double peak = Vectors.Read(most);
        return double.IsFinite(peak) && peak > 0 ? Of(matrix, Unit(peak)).Times(Unit(peak)) : norms;
    }

    /// <summary>A power of two near x whose inverse is a normal number too.</summary>
    public static double Unit(double x) => Math.ScaleB(1, Math.Clamp(Math.ILogB(x), -1000, 1000));

    private static EntryNorms Of(Tensor matrix, double unit)
    {
        (long m, long n) = (matrix.shape[0], matrix.shape[1]);
        if (unit == 1 && EntrySquares.Takes(matrix))
            return EntrySquares.Norms(matrix);
        // By blocks of rows, so that the float64 copies stay small.
        Tensor rows = zeros(m, float64, matrix.device), columns = zeros(n, float64, matrix.device);
        long height = Math.Max(1, (1 << 18) / Math.Max(1, n));
        for (long first = 0; first < m; first += height) {
            using var scope = NewDisposeScope();
            long count = Math.Min(height, m - first);
            Tensor block = matrix.narrow(0, first, count).to(float64);
            if (unit != 1) {
                block = block.clone();
                Vectors.Divide(block, unit);
            }
            Tensor squares = block.mul(block);
            rows.narrow(0, first, count).copy_(squares.sum(dim: 1));
            Vectors.AddScaled(columns, 1, squares.sum(dim: 0));
        }
        return new(rows.sqrt_(), columns.sqrt_());
    }
}
