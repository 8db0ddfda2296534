using System.Globalization;
using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>The figures, the table, the plot and the notes of a finished sweep.</summary>
internal static class SweepReport
{
    private static readonly string[] s_methods = ["ours", "gradual", "oneshot"];

    public static Summary Of(SweepSizes sizes, string source, SweepRun run, SweepState state, RunFolder folder)
    {
        string share = Percent(sizes.Training.Share);
        IReadOnlyDictionary<string, SweepResult[]> cells = Chosen(state);
        var figures = new Dictionary<string, double> {
            [$"{source}_dense_accuracy"] = state.DenseAccuracies.Average(),
            [$"{source}_dense_longer_accuracy"] = Mean(cells["dense_longer"]),
        };
        foreach ((string key, SweepResult[] results) in cells.Where(cell => cell.Key != "dense_longer")) {
            figures[$"{source}_{key}_accuracy"] = Mean(results);
            figures[$"{source}_{key}_sparsity"] = results.Min(result => result.Zeros);
        }
        foreach (string percent in sizes.Shares.Select(Percent)) {
            Compare($"{percent}_ours", "gradual", $"{percent}_gradual");
            Compare($"{percent}_ours", "oneshot", $"{percent}_oneshot");
            Compare($"{percent}_ours", "dense_longer", "dense_longer");
        }
        Compare($"{share}_ours", "l1", $"{share}_l1");
        foreach (string variant in SweepCell.Variants) {
            Compare($"{share}_{variant}", "ours", $"{share}_ours");
            Compare($"{share}_{variant}", "dense_longer", "dense_longer");
        }
        figures["l1_weight"] = cells[$"{share}_l1"].Select(result => result.Penalty).Order().ElementAt(sizes.Seeds / 2);
        SweepResult count = cells[$"{share}_count"][0];
        figures[$"{source}_{share}_count_accuracy_before_zeroing"] = count.Before;
        figures[$"{source}_{share}_count_share_left"] = count.Left!.Value;
        figures["seconds_per_step_ratio"] = cells[$"{share}_ours"].Zip(cells["dense_longer"], (ours, dense) => ours.SecondsPerStep / dense.SecondsPerStep).Order().ElementAt(sizes.Seeds / 2);
        PairedDifference gradual = PairedDifference.Of(Accuracies(cells[$"{share}_ours"]), Accuracies(cells[$"{share}_gradual"]));
        return new Summary {
            Title = $"sparsity-sweep: a {sizes.Training.NameOfNetwork()} at {string.Join(", ", sizes.Shares.Select(Percent))} % sparsity, {sizes.Seeds} seeds, on {(source == "cifar10" ? "CIFAR-10" : "generated images")}",
            Question = "How much accuracy is lost with a share of the weights, under the null-space constraint on the smallest weights (ours), gradual magnitude pruning, pruning at once "
                + "with fine-tuning, an ℓ1 penalty, and a smooth count of weights (count, experimental)? All go on from the same dense network of each seed with the same steps, batches and learning rates. "
                + $"Refuted if ours ends more than a point below gradual pruning at {share} %.",
            Table = Table(state, cells),
            Figures = figures,
            Notes = [
                string.Create(CultureInfo.InvariantCulture, $"At {share} % ours minus gradual pruning: {100 * gradual.Mean:+0.00;-0.00;0.00} points, 95 % interval {100 * gradual.Low:+0.00;-0.00;0.00} to {100 * gradual.High:+0.00;-0.00;0.00} (paired over {sizes.Seeds} seeds, Student's t)."),
                string.Create(CultureInfo.InvariantCulture, $"Trained on {run.TrainCount} images; accuracies are of {run.TestCount}, test images and {sizes.HeldOut} held out of training, a standard error of {100 * Math.Sqrt(0.24 / run.TestCount):F1} points each. λ of ℓ1 is chosen for each seed on {sizes.Tuning} other images."),
                "ours_longer_ramp chooses weights during 75 % of the steps in place of 50; ours_slow has κ = 0.02 in place of 0.1 until the last weights are chosen; ours_layerwise "
                    + "gives each layer a share of its own (Erdős–Rényi kernel); ours_fine_tuned chooses during 25 % of the steps, after which the chosen weights are zero and the others are fine-tuned.",
                string.Create(CultureInfo.InvariantCulture, $"The smooth count ends at {count.Left:P1} left where {1 - sizes.Training.Share:P0} was asked, with {count.Before:P1} right before the smallest weights of each layer are set to zero and {count.Accuracy:P1} after (seed {count.Seed})."),
            ],
            Plots = [Draw(sizes, state, cells, folder)],
        };

        void Compare(string cell, string otherName, string other) =>
            PairedDifference.Of(Accuracies(cells[cell]), Accuracies(cells[other])).AddTo(figures, $"{source}_{cell}_minus_{otherName}");
    }

    /// <summary>The results of each method and share by seed; of ℓ1 each seed's best on the images for tuning.</summary>
    private static Dictionary<string, SweepResult[]> Chosen(SweepState state) => state.Results
        .GroupBy(result => result.Key)
        .ToDictionary(cell => cell.Key, cell => cell.GroupBy(result => result.Seed).Select(seed => seed.MaxBy(result => result.TuningAccuracy)!).ToArray());

    private static SummaryTable Table(SweepState state, IReadOnlyDictionary<string, SweepResult[]> cells)
    {
        var rows = new List<string[]> { new[] { "dense (the start of all)", Statistics.Percent(state.DenseAccuracies), "", "0", "" } };
        rows.AddRange(cells.Select(cell => new[] {
            cell.Key.Replace('_', ' '), Statistics.Percent(Accuracies(cell.Value)), Statistics.Percent(cell.Value.Select(result => result.Before)),
            $"{cell.Value.Min(result => result.Zeros):P2}", $"{cell.Value.Select(result => result.SecondsPerStep).Order().ElementAt(cell.Value.Length / 2):F4}",
        }));
        return new SummaryTable(["network", "accuracy", "before zeroing", "exact zeros", "seconds per step"], rows);
    }

    private static string Draw(SweepSizes sizes, SweepState state, IReadOnlyDictionary<string, SweepResult[]> cells, RunFolder folder)
    {
        Plot plot = Plots.New("Accuracy against sparsity: means over seeds, and each seed", "weights that are zero, %", "accuracy on test and held-out images, %");
        double[] shares = [.. sizes.Shares.Select(share => 100 * share)];
        for (int i = 0; i < s_methods.Length; i++) {
            SweepResult[][] results = [.. sizes.Shares.Select(share => cells[$"{Percent(share)}_{s_methods[i]}"])];
            Plots.Line(plot, s_methods[i], shares, [.. results.Select(each => 100 * Mean(each))], Plots.Colours[i]);
            plot.Add.ScatterPoints(results.SelectMany((each, at) => each.Select(_ => shares[at] + (0.5 * (i - 1)))).ToArray(),
                results.SelectMany(each => each.Select(result => 100 * result.Accuracy)).ToArray(), Plots.Colours[i]);
        }
        double[] ends = [shares.Min(), shares.Max()];
        Plots.Line(plot, "dense longer", ends, [100 * Mean(cells["dense_longer"]), 100 * Mean(cells["dense_longer"])], Plots.Colours[6], 2, LinePattern.Dashed);
        Plots.Line(plot, "dense, the start", ends, [100 * state.DenseAccuracies.Average(), 100 * state.DenseAccuracies.Average()], Plots.Colours[5], 2, LinePattern.Dotted);
        plot.ShowLegend(Alignment.LowerLeft);
        (string file, string relative) = folder.PlotPath("accuracy-against-sparsity.png");
        Plots.Save(plot, file);
        return relative;
    }

    private static double[] Accuracies(IEnumerable<SweepResult> results) => [.. results.Select(result => result.Accuracy)];

    private static double Mean(IEnumerable<SweepResult> results) => results.Average(result => result.Accuracy);

    private static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:F0}");
}
