using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>Test error against time for each set, predicted against observed coverage, and the cost of a step against D.</summary>
internal static class GpPlots
{
    private static readonly string[] s_methods = ["ours", "exact_ml", "feature_ml", "ours_kernel", "ours_nlpd"];

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(SetFindings[] sets, GpState state, RunFolder folder)
    {
        var paths = new List<string>();
        foreach (SetFindings set in sets) {
            Plot plot = Plots.New($"Test error against time, {set.Name}, first split", "seconds on the clock", "root mean square error");
            foreach (string method in set.Methods) {
                if (set.Of(method).FirstOrDefault() is not { } result) {
                    continue;
                }
                GpMoment[] seen = [.. result.Moments.Where(at => at is { Rmse: not null, Seconds: > 0 })];
                Plots.Line(plot, method, [.. seen.Select(at => Math.Log10(at.Seconds))], [.. seen.Select(at => at.Rmse!.Value)], Colour(method));
            }
            LogarithmicBottom(plot);
            plot.ShowLegend(Alignment.UpperRight);
            Keep(plot, $"error_{set.Name}.png");
        }

        Plot coverage = Plots.New("Targets in central intervals, mean over all sets and splits", "probability of the interval", "share of test targets in it");
        Plots.Line(coverage, "as predicted", [0, 1], [0, 1], Plots.Colours[6], 2, LinePattern.Dotted);
        foreach (string method in s_methods) {
            GpResult[] results = [.. state.Results.Where(at => at.Method == method && at.Coverage.Length > 0)];
            if (results.Length > 0) {
                Plots.Line(coverage, method, [.. GpScores.Levels.Select(level => level.Level)],
                    [.. GpScores.Levels.Select((_, i) => results.Average(at => at.Coverage[i]))], Colour(method));
            }
        }
        coverage.ShowLegend(Alignment.UpperLeft);
        Keep(coverage, "coverage.png");

        Plot sweep = Plots.New("A step against the number of features", "D", "seconds");
        double[] features = [.. state.Sweep.Select(at => Math.Log10(at.Features))];
        Plots.Line(sweep, "ours", features, [.. state.Sweep.Select(at => Math.Log10(at.Ours))], Colour("ours"));
        Plots.Line(sweep, "feature_ml", features, [.. state.Sweep.Select(at => Math.Log10(at.FeatureMl))], Colour("feature_ml"));
        Plots.LogarithmicLeft(sweep);
        sweep.Axes.Bottom.SetTicks(features, [.. state.Sweep.Select(at => $"{at.Features}")]);
        sweep.ShowLegend(Alignment.UpperLeft);
        Keep(sweep, "features.png");
        return paths;

        void Keep(Plot plot, string name)
        {
            (string file, string relative) = folder.PlotPath(name);
            Plots.Save(plot, file);
            paths.Add(relative);
        }
    }

    private static Color Colour(string method) => Plots.Colours[Array.IndexOf(s_methods, method)];

    private static void LogarithmicBottom(Plot plot) => plot.Axes.Bottom.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic {
        IntegerTicksOnly = true,
        LabelFormatter = exponent => $"1e{exponent:F0}",
    };
}
