using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>The error on transformed test points against steps, a plot for each number of training points.</summary>
internal static class InertiaPlots
{
    private static readonly string[] s_shown = ["w", "augmentation", "plain", "f_augmentation", "f", "augmentation_w_time", "tensors_augmentation_w_time"];

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(InertiaSizes sizes, InertiaState state, RunFolder folder)
    {
        var paths = new List<string>();
        foreach ((int points, string name) in new[] { (sizes.FewPoints, "few"), (sizes.ManyPoints, "many") }) {
            Plot plot = Plots.New($"Transformed test points, {points} for training", "step", "‖f(gx) − gIgᵀ‖ / ‖I‖");
            for (int i = 0; i < s_shown.Length; i++) {
                IGrouping<int, InertiaRecord>[] steps = [.. state.Records.Where(record => record.Points == points && record.Network == s_shown[i]).GroupBy(record => record.Step)];
                Plots.Line(plot, s_shown[i], [.. steps.Select(step => (double)step.Key)], [.. steps.Select(step => Math.Log10(step.Average(record => record.Transformed)))], Plots.Colours[i]);
            }
            Plots.LogarithmicLeft(plot);
            plot.ShowLegend(Alignment.LowerLeft);
            (string file, string relative) = folder.PlotPath($"error-{name}.png");
            Plots.Save(plot, file);
            paths.Add(relative);
        }
        return paths;
    }
}
