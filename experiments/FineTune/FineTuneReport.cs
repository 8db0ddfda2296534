using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.FineTune;

/// <summary>The figures, the table and the plot of a finished run.</summary>
internal static class FineTuneReport
{
    public static Summary Of(FineTuneSizes sizes, FineTuneState state, IReadOnlyList<string> notes, RunFolder folder)
    {
        string prefix = $"imagenet_{100 * sizes.Share:F0}_";
        var figures = new Dictionary<string, double>();
        var rows = new List<string[]>();
        int last = Math.Max(1, sizes.Steps / 10);
        foreach (FineTuneEnd end in state.Ends) {
            FineTuneRecord[] records = [.. state.Records.Where(record => record.Network == end.Network)];
            figures[prefix + end.Network + "_accuracy"] = end.Accuracy;
            figures[prefix + end.Network + "_sparsity"] = end.Zeros;
            figures[prefix + end.Network + "_training_loss"] = records.TakeLast(last).Average(record => record.Loss);
            figures[prefix + end.Network + "_seconds_per_step"] = Statistics.Median(records.Select(record => record.Seconds));
            rows.Add([end.Network, $"{end.Accuracy:P2}", $"{end.Zeros:P3}", $"{figures[prefix + end.Network + "_training_loss"]:F3}", $"{figures[prefix + end.Network + "_seconds_per_step"]:F3}"]);
        }
        figures[prefix + "constraint_norm_last"] = state.Records.Last(record => record.Network == "ours").ConstraintNorm!.Value;
        figures[prefix + "seconds_ratio"] = figures[prefix + "ours_seconds_per_step"] / figures[prefix + "dense_seconds_per_step"];
        return new Summary {
            Title = $"imagenet: {(sizes.IsSwinS ? "Swin-S" : "a tiny Swin")} with {100 * sizes.Share:F0} % of its weights to vanish",
            Question = "What does fine-tuning under a sparsity constraint lose beside the same steps without one?",
            Table = new SummaryTable(["network", "test accuracy", "exact zeros", $"training loss (last {last} steps)", "seconds per step"], rows),
            Figures = figures,
            Notes = [.. notes, $"{sizes.Steps} steps of {sizes.BatchSize} images; the share rises over {100 * sizes.RampPart:F0} % of them, κ = {sizes.Rate} until then and 1 afterwards."],
            Plots = [Drawn(state, folder)],
        };
    }

    private static string Drawn(FineTuneState state, RunFolder folder)
    {
        Plot plot = Plots.New("Loss of training batches", "step", "cross entropy");
        foreach ((string network, Color colour) in new[] { ("dense", Plots.Colours[1]), ("ours", Plots.Colours[0]) }) {
            FineTuneRecord[] records = [.. state.Records.Where(record => record.Network == network)];
            Plots.Line(plot, network, [.. records.Select(record => (double)record.Step)], [.. records.Select(record => record.Loss)], colour);
        }
        plot.ShowLegend(Alignment.UpperRight);
        (string file, string relative) = folder.PlotPath("loss.png");
        Plots.Save(plot, file);
        return relative;
    }
}
