namespace LsmrTorch.Experiments.Running;

/// <summary>The mean of differences between two methods on the same seeds, with its 95 % interval by Student's t; NaN bounds for a single seed.</summary>
internal readonly record struct PairedDifference(double Mean, double Low, double High)
{
    // The 0.975 quantile of Student's t for 1, 2, … degrees of freedom.
    private static readonly double[] s_quantiles = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622];

    public static PairedDifference Of(IReadOnlyList<double> ours, IReadOnlyList<double> others)
    {
        double[] differences = [.. ours.Zip(others, (one, other) => one - other)];
        double mean = differences.Average();
        int freedom = differences.Length - 1;
        if (freedom < 1 || freedom > s_quantiles.Length) {
            return new PairedDifference(mean, double.NaN, double.NaN);
        }
        double half = s_quantiles[freedom - 1] * Statistics.Deviation(differences) / Math.Sqrt(differences.Length);
        return new PairedDifference(mean, mean - half, mean + half);
    }

    /// <summary>Adds the mean under a name, and the interval, where there is one, under the name with _low and _high.</summary>
    public void AddTo(IDictionary<string, double> figures, string name)
    {
        figures[name] = Mean;
        if (double.IsFinite(Low)) {
            figures[name + "_low"] = Low;
            figures[name + "_high"] = High;
        }
    }
}
