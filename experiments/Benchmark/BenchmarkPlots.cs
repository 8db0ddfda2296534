using System.Globalization;
using LsmrTorch.Experiments.Running;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>Time per iteration against the size of the matrix, a plot a kind, and against the number of right-hand sides.</summary>
internal static class BenchmarkPlots
{
    // One colour a method in every plot; matfree and lineax, on a GPU alone, take those of ours and read, dotted.
    private static readonly string[] s_methods = ["ours", "read", "libtorch_products", "naive", "scipy", "libtorch_csr", "cupy", "matfree", "lineax"];

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(IReadOnlyList<CaseResult> results, RunFolder folder) => [
        .. results.Where(at => at.Group is not ("" or "rhs")).GroupBy(at => at.Group).Select(group => BySize(group.Key, [.. group], folder)),
        .. results.Where(at => at.Group == "rhs").Select(at => ByColumns(at, folder)),
    ];

    private static string BySize(string kind, CaseResult[] cases, RunFolder folder)
    {
        Plot plot = Plots.New($"Time per iteration, {kind}; dashed: reading the matrix once", "bytes of the matrix", "microseconds");
        foreach (string method in s_methods.Where(method => cases.Any(at => at.Of(method) is not null))) {
            // Noise can make a slope negative, which has no logarithm.
            (double Size, double Time)[] points = [.. cases.Where(at => at.Of(method) is not null)
                .Select(at => (Math.Log10(at.Bytes), Statistics.Median(at.Times(method)))).Where(at => at.Item2 > 0).Select(at => (at.Item1, Math.Log10(at.Item2)))];
            Add(plot, method, points);
        }
        Plots.LogarithmicLeft(plot);
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { IntegerTicksOnly = true, LabelFormatter = exponent => $"1e{exponent:F0}" };
        return Keep(plot, kind.Replace(' ', '_') + ".png", folder);
    }

    private static string ByColumns(CaseResult at, RunFolder folder)
    {
        Plot plot = Plots.New("Time per iteration and right-hand side", "right-hand sides", "microseconds a column");
        Columns("ours");
        Columns("libtorch_products");
        plot.Axes.SetLimitsY(0, 1.2 * at.Methods.Max(own => Statistics.Median(at.Times(own.Method)) / Count(own.Method)));
        plot.Axes.Bottom.TickGenerator = new NumericManual([.. at.Methods.Select(own => Count(own.Method)).Distinct().Order()
            .Select(count => new Tick(Math.Log2(count), $"{count:F0}"))]);
        return Keep(plot, "right_hand_sides.png", folder);

        void Columns(string method) =>
            Add(plot, method, [.. at.Methods.Where(own => own.Method.StartsWith(method + "_", StringComparison.Ordinal))
                .Select(own => (Math.Log2(Count(own.Method)), Statistics.Median(at.Times(own.Method)) / Count(own.Method)))]);

        static double Count(string method) => double.Parse(method[(method.LastIndexOf('_') + 1)..], CultureInfo.InvariantCulture);
    }

    // A line through the first case of each size, and a mark for every case.
    private static void Add(Plot plot, string method, (double Size, double Time)[] points)
    {
        Color own = Plots.Colours[Array.IndexOf(s_methods, method) % Plots.Colours.Count];
        (double Size, double Time)[] line = [.. points.DistinctBy(point => point.Size).OrderBy(point => point.Size)];
        Plots.Line(plot, method.Replace('_', ' '), [.. line.Select(point => point.Size)], [.. line.Select(point => point.Time)], own,
            method == "ours" ? 4 : 2.5f, method == "read" ? LinePattern.Dashed : method is "matfree" or "lineax" ? LinePattern.Dotted : LinePattern.Solid);
        plot.Add.ScatterPoints(points.Select(point => point.Size).ToArray(), points.Select(point => point.Time).ToArray(), own).MarkerSize = 10;
    }

    private static string Keep(Plot plot, string name, RunFolder folder)
    {
        plot.ShowLegend(Alignment.UpperLeft);
        (string file, string relative) = folder.PlotPath(name);
        Plots.Save(plot, file);
        return relative;
    }
}
