namespace LsmrTorch.Experiments.Running;

/// <summary>What is made of several numbers: times, or what several seeds came to.</summary>
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

    /// <summary>The standard deviation between several, n − 1 in the denominator; 0 for one.</summary>
    public static double Deviation(IReadOnlyList<double> values)
    {
        double mean = values.Average();
        return values.Count == 1 ? 0 : Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1));
    }

    /// <summary>Shares as a table has them: the mean in per cent, and the standard deviation where there are several.</summary>
    public static string Percent(IEnumerable<double> shares)
    {
        double[] all = [.. shares];
        return all.Length == 1 ? $"{all[0]:P2}" : $"{all.Average():P2} ± {100 * Deviation(all):F2}";
    }

    /// <summary>The median of the ratios within rounds, so that what slows a whole round down is in neither side.</summary>
    public static double MedianRatio(IReadOnlyList<double> ours, IReadOnlyList<double> other) =>
        Median(ours.Zip(other, (mine, theirs) => mine / theirs));
}
