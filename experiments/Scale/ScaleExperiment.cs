using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.Scale;

/// <summary>What does a constraint cost at fifty million parameters?</summary>
internal sealed class ScaleExperiment() : TrainingExperiment<ScaleSizes>("scale", "Time and memory of constrained steps of Swin-S beside plain ones.")
{
    protected override bool PaperTakesDays => false;

    /// <inheritdoc/>
    protected override ScaleSizes SizesOf(RunSettings settings) => ScaleSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(ScaleSizes sizes, RunContext context)
    {
        _ = context.Begin();                            // a run of minutes: it has no checkpoint
        using var run = new ScaleRun(sizes, context);
        IReadOnlyList<ScaleStep> steps = run.Run();
        ScaleStep[] plain = [.. steps.Where(step => !step.IsConstrained)], constrained = [.. steps.Where(step => step.IsConstrained)];
        double stepVectors = ProcessMemory.CanMeasure ? (run.StepBytes(isConstrained: true) - run.StepBytes(isConstrained: false)) / (4.0 * run.Count) : 0;
        double zeros = run.Zeros();
        var figures = new Dictionary<string, double> {
            ["swin_s_parameters"] = run.Count,
            ["swin_s_seconds_plain"] = Statistics.Median(plain.Select(step => step.Seconds)),
            ["swin_s_seconds_constrained"] = Statistics.Median(constrained.Select(step => step.Seconds)),
            // Of turns, since a machine's speed drifts.
            ["swin_s_seconds_ratio"] = Statistics.Median(constrained.Zip(plain, (ours, other) => ours.Seconds / other.Seconds)),
            ["swin_s_memory_vectors"] = (Statistics.Median(constrained.Select(step => (double)step.PeakBytes)) - Statistics.Median(plain.Select(step => (double)step.PeakBytes))) / (4.0 * run.Count),
            ["swin_s_memory_vectors_of_the_update"] = stepVectors,
            ["swin_s_constraint_norm_first"] = constrained[0].ConstraintNorm!.Value,
            ["swin_s_constraint_norm_last"] = constrained[^1].Predicted!.Value,
            ["swin_s_zeros"] = zeros,
        };
        return new Summary {
            Title = $"scale: {run.Count:N0} parameters, half of the weights to vanish",
            Question = "Does a step under a sparsity constraint cost at most 1.3 times the plain step, and at most eight vectors of parameters more memory, at the size of Swin-S?",
            Table = new SummaryTable(["step", "seconds (median)", "peak memory over before, MB", "‖c‖/√k first", "‖c‖/√k last"], [
                ["plain", $"{figures["swin_s_seconds_plain"]:F3}", $"{Statistics.Median(plain.Select(step => step.PeakBytes / 1e6)):F0}", "", ""],
                ["constrained", $"{figures["swin_s_seconds_constrained"]:F3}", $"{Statistics.Median(constrained.Select(step => step.PeakBytes / 1e6)):F0}",
                    $"{figures["swin_s_constraint_norm_first"]:E2}", $"{figures["swin_s_constraint_norm_last"]:E2}"],
            ]),
            Figures = figures,
            Notes = [
                $"Random images, {sizes.BatchSize} a step; SGD with momentum; plain and constrained steps of one network in turns. The ratio of times is {figures["swin_s_seconds_ratio"]:F3} (median of turns).",
                $"The constraint takes {figures["swin_s_memory_vectors"]:F2} vectors of parameters at its peak, in resident memory beside that of a plain step, whose activations are gone when the parameters move; the update alone takes {stepVectors:F2} more than the plain optimizer's. After {sizes.Steps} such steps {zeros:P3} of the weights are set to zero.",
                .. ProcessMemory.CanMeasure ? Array.Empty<string>() : ["The peak of resident memory cannot be read on this system: the figure of memory says nothing."],
            ],
            Plots = [Drawn(plain, constrained, context.Folder)],
        };
    }

    private static string Drawn(ScaleStep[] plain, ScaleStep[] constrained, RunFolder folder)
    {
        Plot plot = Plots.New("A step under the constraint beside a plain one", "step", "seconds");
        Plots.Line(plot, "plain", [.. plain.Select(step => (double)step.Step)], [.. plain.Select(step => step.Seconds)], Plots.Colours[1]);
        Plots.Line(plot, "constrained", [.. constrained.Select(step => (double)step.Step)], [.. constrained.Select(step => step.Seconds)], Plots.Colours[0]);
        plot.Axes.SetLimitsY(0, 1.3 * Math.Max(plain.Max(step => step.Seconds), constrained.Max(step => step.Seconds)));
        plot.ShowLegend(Alignment.LowerRight);
        (string file, string relative) = folder.PlotPath("seconds.png");
        Plots.Save(plot, file);
        return relative;
    }
}
