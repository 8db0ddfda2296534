using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class PeriodicReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(PeriodicSizes sizes, PeriodicState state, PeriodicCurves curves, RunFolder folder)
    {
        // After the last step, in the order of the networks.
        StepRecord[] ends = [.. state.Steps.Where(record => record.Step == sizes.Steps)];
        string penalty = ends.Where(end => end.Network.StartsWith("penalty", StringComparison.Ordinal))
            .MinBy(end => end.RmseOutside)!.Network;
        Dictionary<string, double> figures = Figures(state, ends, penalty);
        return new Summary {
            Title = "periodic: sin from its values on [-π, π] and from f(x + 2π) = f(x)",
            Question = "A network sees sin on [-π, π] only. Does the constraint f(x + 2π) = f(x), at points drawn anew in "
                + "each step, make it sin on all of [-3π, 3π]? Beside it, from the same weights with the same Adam, points "
                + "and steps: no constraint, and a penalty on the constraint, its weight the best of a grid by the very error "
                + "outside that is reported. Refuted if the error outside is over a tenth of plain's or over 1.5 times the "
                + "penalty's.",
            Table = Table(state, ends, penalty),
            Figures = figures,
            Notes = Notes(sizes, figures),
            Plots = PeriodicPlots.Draw(sizes, state, curves, penalty, folder),
        };
    }

    private static Dictionary<string, double> Figures(PeriodicState state, StepRecord[] ends, string penalty)
    {
        var figures = new Dictionary<string, double>();
        (string Name, StepRecord End)[] networks = [
            ("plain", End(ends, "plain")), ("penalty", End(ends, penalty)), ("ours", End(ends, "ours")),
        ];
        foreach ((string name, StepRecord end) in networks) {
            figures[$"periodic_rmse_inside_{name}"] = end.RmseInside;
        }
        foreach ((string name, StepRecord end) in networks) {
            figures[$"periodic_rmse_outside_{name}"] = end.RmseOutside;
        }
        figures["periodic_constraint_norm"] = End(ends, "ours").ConstraintNorm;
        figures["periodic_constraint_norm_plain"] = End(ends, "plain").ConstraintNorm;
        figures["periodic_constraint_norm_penalty"] = End(ends, penalty).ConstraintNorm;
        figures["periodic_penalty_weight"] = WeightOf(penalty);
        figures["periodic_outside_ours_over_plain"] =
            figures["periodic_rmse_outside_ours"] / figures["periodic_rmse_outside_plain"];
        figures["periodic_outside_ours_over_penalty"] =
            figures["periodic_rmse_outside_ours"] / figures["periodic_rmse_outside_penalty"];
        figures["periodic_iterations_per_step"] = Statistics.Median(state.Solves.Select(solve => (double)solve.Iterations));
        figures["periodic_condition"] = Statistics.Median(state.Solves.Select(solve => solve.Condition));
        foreach ((string name, StepRecord end) in networks) {
            figures[$"periodic_seconds_per_step_{name}"] = Statistics.Median(state.StepSeconds[end.Network]);
        }
        return figures;
    }

    private static SummaryTable Table(PeriodicState state, StepRecord[] ends, string penalty)
    {
        IEnumerable<string[]> rows = ends.Select(end => new[] {
            Shown(end.Network, penalty), $"{end.RmseInside:F5}", $"{end.RmseOutside:F5}", $"{end.ConstraintNorm:F5}",
            $"{Statistics.Median(state.StepSeconds[end.Network]):F5}",
        });
        return new SummaryTable(["network", "error inside", "error outside", "f(x + 2π) - f(x)", "seconds per step"], [.. rows]);
    }

    private static string[] Notes(PeriodicSizes sizes, Dictionary<string, double> figures) => [
        $"Errors are root mean squares on a fine grid: inside is [-π, π], outside the rest of [-3π, 3π]. One seed, {sizes.Steps} "
            + $"steps, Adam with rate {sizes.LearningRate} and ε {sizes.Epsilon}; constraint and penalty begin after {sizes.WarmUpSteps} steps.",
        $"Outside, ours has {figures["periodic_outside_ours_over_plain"]:F4} times the error of plain and "
            + $"{figures["periodic_outside_ours_over_penalty"]:F2} times that of the best penalty.",
        $"A step of ours solves for {sizes.Points} residuals with κ = {sizes.Rate}, damping {sizes.Damp}, tolerance {sizes.Tolerance}: "
            + $"{figures["periodic_iterations_per_step"]:F0} LSMR iterations, condition {figures["periodic_condition"]:F1} with the "
            + "damping (medians).",
    ];

    private static StepRecord End(StepRecord[] ends, string network) => ends.Single(end => end.Network == network);

    private static string Shown(string network, string penalty) =>
        network.StartsWith("penalty", StringComparison.Ordinal)
            ? $"penalty λ = {WeightOf(network)}" + (network == penalty ? " (the best)" : "")
            : network;

    private static double WeightOf(string penalty) =>
        double.Parse(penalty["penalty_".Length..], System.Globalization.CultureInfo.InvariantCulture);
}
