namespace LsmrTorch;

/// <summary>
/// The entries of the lower bidiagonal matrix B with A V = U B that Golub–Kahan made, and its extreme singular values. They
/// lie between those of A (its non-zero ones), so that their ratio is at most cond(A), and reach them as the iteration converges.
/// </summary>
/// <remarks>
/// At most the first 4,096 columns are kept (64 KiB): of a leading block the same holds. The singular values are the positive eigenvalues
/// of the tridiagonal matrix with zero diagonal and α₁, β₂, α₂, β₃, … beside it (Golub and Kahan 1965), counted by Sturm
/// sequences, in which small ones keep their relative accuracy.
/// </remarks>
internal sealed class BidiagonalEntries
{
    private const int Most = 2 * 4096;
    private const double RelativeAccuracy = 1e-3;

    private readonly List<double> entries = [];     // alpha1, beta2, alpha2, beta3, ...
    private int counted = -1;                       // how many entries the values below are of
    private double largest, smallest;

    /// <summary>Begins anew.</summary>
    public void Clear()
    {
        entries.Clear();
        counted = -1;
    }

    /// <summary>The next column: α on the diagonal, β below it.</summary>
    public void Add(double alpha, double beta)
    {
        if (entries.Count < Most && double.IsFinite(alpha) && double.IsFinite(beta) && (alpha > 0 || beta > 0)) {
            entries.Add(alpha);
            entries.Add(beta);
        }
    }

    /// <summary>σmax of B, at most ‖A‖₂; 0 before the first step.</summary>
    public double Largest => Values().Largest;

    /// <summary>σmin of B, at least A's smallest singular value that is not zero; 0 before the first step.</summary>
    public double Smallest => Values().Smallest;

    private (double Largest, double Smallest) Values()
    {
        if (counted != entries.Count) {
            counted = entries.Count;
            double scale = counted == 0 ? 0 : entries.Max();
            (largest, smallest) = (0, 0);
            if (scale > 0) {
                double[] scaled = [.. entries.Select(entry => entry / scale)];      // so that no product of two leaves the range
                (largest, smallest) = (scale * FindLargest(scaled), scale * FindSmallest(scaled));
            }
        }
        return (largest, smallest);
    }

    // Gershgorin: at most twice the largest entry, 1, and at least that entry.
    private static double FindLargest(double[] entries)
    {
        double low = 1, high = 2;
        while (high > low * (1 + RelativeAccuracy)) {
            double middle = Math.Sqrt(low * high);
            (low, high) = CountBelow(entries, middle) == entries.Length / 2 ? (low, middle) : (middle, high);
        }
        return low;
    }

    // At most the smallest column; below 1e-20 of the largest, zero.
    private static double FindSmallest(double[] entries)
    {
        double low = 1e-20, high = Enumerable.Range(0, entries.Length / 2).Min(k => double.Hypot(entries[2 * k], entries[2 * k + 1]));
        while (high > low * (1 + RelativeAccuracy)) {
            double middle = Math.Sqrt(low * high);
            (low, high) = CountBelow(entries, middle) == 0 ? (middle, high) : (low, middle);
        }
        return high;
    }

    // How many singular values are below x > 0: of the eigenvalues below x, the ±pairs give one each that is negative, and the zero one.
    private static int CountBelow(double[] entries, double x)
    {
        int negative = 1;
        double pivot = -x;
        foreach (double entry in entries) {
            pivot = -x - entry * (entry / (pivot == 0 ? double.Epsilon : pivot));
            if (pivot < 0)
                negative++;
        }
        return negative - entries.Length / 2 - 1;
    }
}
