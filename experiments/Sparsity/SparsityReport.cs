using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class SparsityReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(
        SparsitySizes sizes, string source, ImageBatches data, SparsityState state, IReadOnlyList<Finish> finishes,
        RunContext context)
    {
        Dictionary<string, double> figures = Figures(sizes, source, state, finishes);
        string prefix = Prefix(sizes, source);
        int further = sizes.FurtherEpochs * data.PerEpoch;
        return new Summary {
            Title = $"sparsity: {sizes.Share:P0} of a {sizes.NameOfNetwork()}'s weights gone, on "
                + (source == "cifar10" ? "CIFAR-10" : "generated images"),
            Question = $"How much accuracy does a network lose when {sizes.Share:P0} of its convolution and linear weights must vanish? "
                + "Ours trains on under the constraint that the smallest weights are zero; beside it, from the same dense network, "
                + $"with the same {further} further steps, batches and learning rates: nothing, gradual magnitude pruning with the same "
                + "ramp, and pruning at once. Refuted if ours ends more than two points below gradual pruning, or if setting the "
                + "weights to zero at the end changes its accuracy.",
            Table = Table(prefix, figures, state, finishes),
            Figures = figures,
            Notes = Notes(prefix, figures, data, finishes),
            Plots = SparsityPlots.Draw(sizes, state, finishes, context.Folder),
        };
    }

    private static string Prefix(SparsitySizes sizes, string source) => $"{source}_{100 * sizes.Share:F0}_";

    private static Dictionary<string, double> Figures(
        SparsitySizes sizes, string source, SparsityState state, IReadOnlyList<Finish> finishes)
    {
        string prefix = Prefix(sizes, source);
        var figures = new Dictionary<string, double> { [prefix + "dense_accuracy"] = state.DenseAccuracy ?? double.NaN };
        foreach (Finish finish in finishes) {
            figures[$"{prefix}{finish.Network}_accuracy"] = finish.Accuracy;
        }
        Finish ours = finishes.Single(finish => finish.Network == "ours");
        figures[prefix + "ours_accuracy_before_zeroing"] = ours.AccuracyBefore;
        figures[prefix + "ours_constraint_norm"] = ours.ConstraintNorm;
        foreach (Finish finish in finishes.Where(finish => finish.Sparsity > 0)) {
            figures[$"{prefix}{finish.Network}_sparsity"] = finish.Sparsity;
        }
        figures["seconds_per_step_dense"] = Statistics.Median(state.StepSeconds["dense_longer"]);
        figures["seconds_per_step_ours"] = Statistics.Median(state.StepSeconds["ours"]);
        figures["seconds_per_step_ratio"] = figures["seconds_per_step_ours"] / figures["seconds_per_step_dense"];
        figures["seconds_ratio_of_sums"] = state.StepSeconds["ours"].Sum() / state.StepSeconds["dense_longer"].Sum();
        return figures;
    }

    private static SummaryTable Table(
        string prefix, Dictionary<string, double> figures, SparsityState state, IReadOnlyList<Finish> finishes)
    {
        var rows = new List<string[]> {
            new[] { "dense (the start of all)", $"{figures[prefix + "dense_accuracy"]:P2}", "", $"{0.0:P2}", "" },
        };
        foreach (Finish finish in finishes) {
            rows.Add([
                finish.Network.Replace('_', ' '), $"{finish.Accuracy:P2}", $"{finish.AccuracyBefore:P2}",
                $"{finish.Sparsity:P2}", $"{Statistics.Median(state.StepSeconds[finish.Network]):F4}",
            ]);
        }
        return new SummaryTable(["network", "test accuracy", "before zeroing", "exact zeros", "seconds per step"], rows);
    }

    private static List<string> Notes(
        string prefix, Dictionary<string, double> figures, ImageBatches data, IReadOnlyList<Finish> finishes)
    {
        double accuracy = figures[prefix + "ours_accuracy"];
        double error = Math.Sqrt(accuracy * (1 - accuracy) / data.TestCount);
        double difference = 100 * (accuracy - figures[prefix + "gradual_accuracy"]);
        return [
            $"Ours minus gradual pruning: {difference:+0.00;-0.00;0.00} points; "
                + $"one run on {data.TestCount} test images, a standard error of {100 * error:F1} points for each accuracy.",
            $"Zeroing changes the accuracy of ours by {100 * (accuracy - figures[prefix + "ours_accuracy_before_zeroing"]):F2} points; "
                + $"‖c‖/√k is {figures[prefix + "ours_constraint_norm"]:0.0e+00} before it.",
            $"A step of ours takes {figures["seconds_per_step_ratio"]:F2} times a dense step (medians, measured side by side; "
                + $"{figures["seconds_ratio_of_sums"]:F2} times over all steps).",
            $"{finishes[0].WeightCount} weights of convolutions and linear layers are ranked together; biases and batch normalisation stay.",
        ];
    }
}
