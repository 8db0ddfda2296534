namespace LsmrTorch.Experiments.Running;

/// <summary>What is made of measured times.</summary>
internal static class Statistics
{
    /// <summary>The value below which a share of all lies; between two values in proportion; NaN where there are none.</summary>
    public static double Quantile(IEnumerable<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0) {
            return double.NaN;
        }
        double place = share * (sorted.Length - 1);
        int below = (int)place;
        int above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + ((place - below) * (sorted[above] - sorted[below]));
    }

    /// <summary>The middle one, or the mean of the middle two; NaN where there are none.</summary>
    public static double Median(IEnumerable<double> values) => Quantile(values, 0.5);

    /// <summary>The median of the ratios within rounds, so that what slows a whole round down is in neither side.</summary>
    public static double MedianRatio(IReadOnlyList<double> ours, IReadOnlyList<double> other) =>
        Median(ours.Zip(other, (mine, theirs) => mine / theirs));
}
