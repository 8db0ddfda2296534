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
            (largest, smallest) = scale == 0 ? (0, 0) : (FindLargest(scale), FindSmallest(scale));
        }
        return (largest, smallest);
    }

    private int Size => entries.Count / 2;

    private double FindLargest(double scale)
    {
        // Gershgorin: at most twice the largest entry, and at least that entry.
        double low = scale, high = 2 * scale * (1 + RelativeAccuracy);
        while (high > low * (1 + RelativeAccuracy)) {
            double middle = Math.Sqrt(low * high);
            (low, high) = CountBelow(middle) == Size ? (low, middle) : (middle, high);
        }
        return low;
    }

    private double FindSmallest(double scale)
    {
        double low = scale * 1e-20, high = Enumerable.Range(0, Size).Min(k => double.Hypot(entries[2 * k], entries[2 * k + 1])) * (1 + RelativeAccuracy);
        while (high > low * (1 + RelativeAccuracy)) {
            double middle = Math.Sqrt(low * high);
            (low, high) = CountBelow(middle) == 0 ? (middle, high) : (low, middle);
        }
        return high;
    }

    // How many singular values are below x > 0: of the eigenvalues below x, the ±pairs give one each that is negative, and the zero one.
    private int CountBelow(double x)
    {
        int negative = 1;
        double pivot = -x;
        foreach (double entry in entries) {
            pivot = -x - entry * (entry / (pivot == 0 ? double.Epsilon : pivot));
            if (pivot < 0)
                negative++;
        }
        return negative - Size - 1;
    }
}
