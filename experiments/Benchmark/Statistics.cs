namespace LsmrTorch.Experiments.Benchmark;

/// <summary>What is made of measured times.</summary>
internal static class Statistics
{
    /// <summary>Seconds per iteration, and seconds that every solve costs besides, from one with few iterations and one with many.</summary>
    /// <exception cref="ArgumentException">The second did no more iterations than the first.</exception>
    public static (double PerIteration, double Fixed) Slope(TimedSolve few, TimedSolve many)
    {
        if (many.Iterations <= few.Iterations) {
            throw new ArgumentException($"A slope needs more than {few.Iterations} iterations in the longer solve, which did {many.Iterations}.");
        }
        double perIteration = (many.Seconds - few.Seconds) / (many.Iterations - few.Iterations);
        return (perIteration, few.Seconds - (perIteration * few.Iterations));
    }

    /// <summary>The value below which a share of all lies; between two values in proportion.</summary>
    public static double Quantile(IEnumerable<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        double place = share * (sorted.Length - 1);
        int below = (int)place;
        int above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + ((place - below) * (sorted[above] - sorted[below]));
    }

    /// <summary>The middle one, or the mean of the middle two.</summary>
    public static double Median(IEnumerable<double> values) => Quantile(values, 0.5);

    /// <summary>The median of the ratios within rounds, so that what slows a whole round down is in neither side.</summary>
    public static double MedianRatio(IReadOnlyList<double> ours, IReadOnlyList<double> other) =>
        Median(ours.Zip(other, (mine, theirs) => mine / theirs));
}
