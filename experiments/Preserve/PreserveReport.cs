using System.Globalization;
using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.Preserve;

/// <summary>The figures, the table, the plots and the notes of a finished run.</summary>
internal static class PreserveReport
{
    private static readonly string[] s_methods = ["plain", "ours", "replay", "distillation"];

    /// <summary>Of a method's fine-tunings with the same number of steps the best on the images for tuning.</summary>
    public static PreserveResult Best(PreserveState state, string task, long seed, string method) =>
        state.Results.Where(result => result.Task == task && result.Seed == seed && result.Method == method && !result.IsEqualTime).MaxBy(result => result.Tuning)!;

    public static Summary Of(PreserveSizes sizes, string source, PreserveState state, RunFolder folder)
    {
        var figures = new Dictionary<string, double>();
        var rows = new List<string[]>();
        var notes = new List<string>();
        foreach (string task in PreserveRun.Tasks) {
            PreserveResult[] before = Of(state, task, result => result.Method == "before");
            long[] seeds = [.. before.Select(result => result.Seed)];
            figures[$"preserve_{task}_before_old_accuracy"] = before.Average(result => result.OldAccuracy);
            figures[$"preserve_{task}_before_new_accuracy"] = before.Average(result => result.NewAccuracy);
            rows.Add([task, "the old network", Percent(before, result => result.OldAccuracy), Percent(before, result => result.NewAccuracy), "", "", ""]);
            foreach (string method in s_methods) {
                Show(method, [.. seeds.Select(seed => Best(state, task, seed, method))]);
            }
            foreach (string method in s_methods.Skip(2)) {
                Show(method + "_equal_time", Of(state, task, result => result.Method == method && result.IsEqualTime));
            }
            string best = s_methods.Skip(2).SelectMany(method => new[] { method, method + "_equal_time" }).MaxBy(name => Both(task, name))!;
            figures[$"preserve_{task}_ours_minus_best_old_accuracy"] = figures[$"preserve_{task}_ours_old_accuracy"] - figures[$"preserve_{task}_{best}_old_accuracy"];
            figures[$"preserve_{task}_ours_minus_best_new_accuracy"] = figures[$"preserve_{task}_ours_new_accuracy"] - figures[$"preserve_{task}_{best}_new_accuracy"];
            notes.Add(string.Create(CultureInfo.InvariantCulture,
                $"{task}: the best of the others by the mean of both accuracies is {best.Replace('_', ' ')}, {100 * Both(task, best):F1} %, beside {100 * Both(task, "ours"):F1} % of ours"
                + $"{(Both(task, best) > Both(task, "ours") ? ", which it beats" : "")}."));

            void Show(string name, PreserveResult[] results)
            {
                string prefix = $"preserve_{task}_{name}_";
                figures[prefix + "old_accuracy"] = results.Average(result => result.OldAccuracy);
                figures[prefix + "new_accuracy"] = results.Average(result => result.NewAccuracy);
                figures[prefix + "logit_change"] = results.Average(result => result.LogitChange);
                figures[prefix + "seconds_per_step"] = Statistics.Median(results.Select(result => result.SecondsPerStep));
                rows.Add([task, name.Replace('_', ' '), Percent(results, result => result.OldAccuracy), Percent(results, result => result.NewAccuracy),
                    $"{figures[prefix + "logit_change"]:F3}", $"{figures[prefix + "seconds_per_step"]:F3}", $"{results.Average(result => result.Steps):F0}"]);
            }
        }
        notes.Add($"{sizes.Seeds} seeds. {sizes.NewImages} new and {sizes.Protected} protected images a step, the same for all; batch statistics stay those of the old network. Weights of replay and distillation "
            + $"are the best of {string.Join(", ", sizes.Weights)} for each seed, by the mean of both accuracies on {sizes.Tuning} held-out images.");
        notes.Add("Task classes: each half of the classes is told apart within itself, and the old five logits are protected; task turned: all ten are. Ours multiplies by J with difference quotients; the change is ‖f(x) − f₀(x)‖/‖f₀(x)‖ on old test images, none of which was protected.");
        return new Summary {
            Title = $"preserve: new images learnt while the logits of old ones stay, on {(source == "cifar10" ? "CIFAR-10" : "generated images")}",
            Question = "Does projecting every step so that protected images keep their logits keep old knowledge better than replaying the same images or penalising the change of their logits, "
                + "at as many steps, and given as much time? Refuted if either has a higher mean of old and new accuracy.",
            Table = new SummaryTable(["task", "network", "old accuracy", "new accuracy", "change of old logits", "seconds per step", "steps"], rows),
            Figures = figures,
            Notes = notes,
            Plots = [.. PreserveRun.Tasks.Select(task => Draw(task, state, folder))],
        };

        double Both(string task, string name) => (figures[$"preserve_{task}_{name}_old_accuracy"] + figures[$"preserve_{task}_{name}_new_accuracy"]) / 2;
    }

    private static PreserveResult[] Of(PreserveState state, string task, Func<PreserveResult, bool> isOf) => [.. state.Results.Where(result => result.Task == task && isOf(result))];

    private static string Percent(PreserveResult[] results, Func<PreserveResult, double> of) => results.Length == 1
        ? $"{of(results[0]):P1}"
        : $"{results.Average(of):P1} ({100 * results.Min(of):F1} to {100 * results.Max(of):F1})";

    // New accuracy against old: every fine-tuning, of the weights that were not chosen too.
    private static string Draw(string task, PreserveState state, RunFolder folder)
    {
        Plot plot = Plots.New($"{task}: what was learnt against what was kept", "accuracy on old test images, %", "accuracy on new test images, %");
        for (int i = 0; i < s_methods.Length; i++) {
            foreach (bool isEqualTime in new[] { false, true }) {
                PreserveResult[] results = Of(state, task, result => result.Method == s_methods[i] && result.IsEqualTime == isEqualTime);
                if (results.Length == 0) {
                    continue;
                }
                var points = plot.Add.ScatterPoints(results.Select(result => 100 * result.OldAccuracy).ToArray(), results.Select(result => 100 * result.NewAccuracy).ToArray(),
                    Plots.Colours[(i + 3) % 4]);
                points.MarkerSize = 12;
                points.MarkerShape = isEqualTime ? MarkerShape.FilledTriangleUp : MarkerShape.FilledCircle;
                points.LegendText = s_methods[i] + (isEqualTime ? ", as much time as ours" : "");
            }
        }
        plot.ShowLegend(Alignment.LowerLeft);
        (string file, string relative) = folder.PlotPath($"{task}.png");
        Plots.Save(plot, file);
        return relative;
    }
}
