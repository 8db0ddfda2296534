using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class ConservativenessReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(ConservativenessSizes sizes, ConservativenessState state, RunFolder folder)
    {
        Dictionary<string, double> figures = Figures(sizes, state);
        return new Summary {
            Title = sizes.Images is ImageSizes images
                ? $"conservativeness-images: score models of {Source(sizes)} of {images.Side}×{images.Side} pixels, with and without S = Sᵀ"
                : "conservativeness: score models of densities in the plane, with and without S = Sᵀ",
            Question = "A network that is trained by denoising score matching is no gradient field. Can c = (S - Sᵀ)v at noisy points, drawn "
                + "anew in each step, make it one at no cost of the loss? Beside it, from the same weights with the same Adam and "
                + "steps: no constraint; a penalty on the mean square of c, which begins earlier, its weight the best of a grid by the numbers that "
                + (sizes.LongSteps == 0 ? "are reported. " : "are reported; and one with several descents a step, in about the time of ours. ")
                + "Refuted if the asymmetry is over a tenth of plain's, or the loss over 1.05 times.",
            Table = Table(sizes, state),
            Figures = figures,
            Notes = Notes(sizes, state, figures),
            Plots = ConservativenessPlots.Draw(sizes, state, folder),
        };
    }

    private static Dictionary<string, double> Figures(ConservativenessSizes sizes, ConservativenessState state)
    {
        var figures = new Dictionary<string, double>();
        string of = sizes.Of;
        (string Figure, Func<FieldEnd, double> Value)[] measures = [
            ($"asymmetry_{of}", Asymmetry), ($"score_loss_{of}", Loss),
            sizes.Images is null ? ("path_dependence_2d", Paths) : ($"asymmetry_standard_error_{of}", end => end.AsymmetryError),
        ];
        foreach ((string figure, Func<FieldEnd, double> value) in measures) {
            foreach (string kind in Kinds(sizes)) {
                // Of each seed the mean over the densities; then the mean and the deviation of these.
                double[] seeds = [.. Enumerable.Range(0, sizes.Seeds).Select(seed =>
                    sizes.Densities.Average(density => value(state.Ends.Single(end => end.Density == density && end.Seed == seed && end.Network == Name(state, kind, density)))))];
                figures[$"{figure}_{kind}"] = seeds.Average();
                if (sizes.Seeds > 1) {
                    figures[$"{figure}_{kind}_spread"] = Statistics.Deviation(seeds);
                }
                if (sizes.Densities.Count > 1) {
                    foreach (string density in sizes.Densities) {
                        figures[$"{figure}_{kind}_{density.Replace('-', '_')}"] = Mean(state, density, Name(state, kind, density), value);
                    }
                }
            }
        }
        foreach (string measure in sizes.Images is null ? ["asymmetry_2d", "path_dependence_2d"] : new[] { $"asymmetry_{of}" }) {
            foreach (string kind in Kinds(sizes).Where(kind => kind != "plain")) {
                figures[$"{measure}_plain_over_{kind}"] = figures[$"{measure}_plain"] / figures[$"{measure}_{kind}"];
            }
        }
        foreach (string kind in Kinds(sizes).Where(kind => kind != "plain")) {
            figures[$"score_loss_{of}_{kind}_over_plain"] = figures[$"score_loss_{of}_{kind}"] / figures[$"score_loss_{of}_plain"];
        }
        foreach (string kind in Kinds(sizes)) {
            figures[$"seconds_per_step_{kind}"] = Statistics.Median(sizes.Densities.Select(density => Name(state, kind, density)).Distinct().SelectMany(name => state.StepSeconds[name]));
        }
        double plain = figures["seconds_per_step_plain"];
        foreach (string kind in Kinds(sizes)) {
            int alone = kind switch { "plain" => sizes.Steps, "ours" => sizes.WarmUpSteps, _ => sizes.PenaltyWarmUpSteps };
            figures[$"seconds_of_a_run_{kind}"] = (alone * plain) + ((sizes.Steps - alone) * figures[$"seconds_per_step_{kind}"]);
        }
        figures["iterations_per_step"] = Statistics.Median(state.Solves.Select(solve => (double)solve.Iterations));
        figures["condition"] = Statistics.Median(state.Solves.Select(solve => solve.Condition));
        return figures;
    }

    private static SummaryTable Table(ConservativenessSizes sizes, ConservativenessState state)
    {
        var rows = new List<string[]>();
        foreach (string density in sizes.Densities) {
            string best = PenaltyChoice.Best(state.Ends, density);
            foreach (string network in state.Ends.Select(end => end.Network).Distinct()) {
                rows.Add([
                    density, network.Replace("penalty_", "penalty λ = ").Replace("_long", $", {sizes.LongSteps} descents a step") + (network == best ? " (the best)" : ""),
                    Shown(Asymmetry, "E2"), Shown(Loss, "F4"), sizes.Images is null ? Shown(Paths, "F4") : Shown(end => end.AsymmetryError, "E1"), $"{Statistics.Median(state.StepSeconds[network]):F5}",
                ]);

                string Shown(Func<FieldEnd, double> value, string format)
                {
                    double[] values = [.. state.Ends.Where(end => end.Density == density && end.Network == network).Select(value)];
                    return values.Length == 1 ? values[0].ToString(format) : $"{values.Average().ToString(format)} ± {Statistics.Deviation(values).ToString(format)}";
                }
            }
        }
        return new SummaryTable(["density", "network", "asymmetry", "loss", sizes.Images is null ? "path dependence" : "asymmetry's standard error", "seconds per step"], rows);
    }

    private static string[] Notes(ConservativenessSizes sizes, ConservativenessState state, Dictionary<string, double> figures) => [
        $"Means over {sizes.Levels} noise levels from {sizes.LowNoise} to {sizes.HighNoise} at {sizes.TestPoints} points each that no training saw; ± is the deviation over "
            + $"{sizes.Seeds} seeds. Asymmetry: ½(tr SSᵀ − tr SS)/tr SSᵀ" + (sizes.Images is null
            ? ". Path dependence: the difference of the log-density along two paths, relative to the log-density."
            : $", by {sizes.TestProbes} probes at each point; its standard error is what these leave open. The loss is a sum over all pixels."),
        $"Ours has 1/{figures[$"asymmetry_{sizes.Of}_plain_over_ours"]:F1} of plain's asymmetry at {figures[$"score_loss_{sizes.Of}_ours_over_plain"]:F4} times its loss; the best penalty "
            + $"1/{figures[$"asymmetry_{sizes.Of}_plain_over_penalty"]:F1} at {figures[$"score_loss_{sizes.Of}_penalty_over_plain"]:F4}.",
        $"{sizes.Steps} steps, {sizes.WarmUpSteps} of them without constraint ({sizes.PenaltyWarmUpSteps} without penalty)"
            + (sizes.AveragedSteps > 0 ? $", the weights of all networks their means over the last {sizes.AveragedSteps}" : "") + $"; Adam with rate {sizes.LearningRate} and ε {sizes.Epsilon}.",
        (sizes.OneResidual
            ? $"A step of ours is held to the root mean square of {Residuals(sizes)} numbers (order {sizes.Order}, κ = {sizes.Rate}{(sizes.RateFalls ? ", falling with the learning rate" : "")}, smoothing {sizes.Smoothing})."
            : $"A step of ours solves for {Residuals(sizes)} residuals (order {sizes.Order}, κ = {sizes.Rate}, damping {sizes.Damp}, tolerance {sizes.Tolerance}): "
                + $"{figures["iterations_per_step"]:F0} LSMR iterations, condition {figures["condition"]:F1} with the damping (medians). {state.Solves.Count} solves were recorded."),
    ];

    // The networks that figures are named for; which weight "penalty" has depends on the density.
    private static IEnumerable<string> Kinds(ConservativenessSizes sizes) =>
        sizes.LongSteps == 0 ? ["plain", "penalty", "ours"] : ["plain", "penalty", "penalty_long", "ours"];

    private static string Name(ConservativenessState state, string kind, string density) => kind switch {
        "penalty" => PenaltyChoice.Best(state.Ends, density),
        "penalty_long" => state.Ends.First(end => end.Network.EndsWith("_long", StringComparison.Ordinal)).Network,
        _ => kind,
    };

    // Numbers of c in a step.
    private static int Residuals(ConservativenessSizes sizes) => sizes.Points * (sizes.Images is ImageSizes images ? 3 * images.Side * images.Side : 2);

    private static double Asymmetry(FieldEnd end) => end.Asymmetries.Average();

    private static double Loss(FieldEnd end) => end.Losses.Average();

    private static double Paths(FieldEnd end) => end.PathDependence.Average();

    private static string Source(ConservativenessSizes sizes) => sizes.Of switch {
        "cifar10" => "CIFAR-10 images",
        "imagenet" => "ImageNet photographs",
        _ => "generated images",
    };

    private static double Mean(ConservativenessState state, string density, string network, Func<FieldEnd, double> value) =>
        state.Ends.Where(end => end.Density == density && end.Network == network).Average(value);
}
