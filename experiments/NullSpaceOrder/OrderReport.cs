using System.Globalization;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class OrderReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(OrderSizes sizes, OrderState state, RunFolder folder)
    {
        Outcome[] outcomes = [.. Outcomes(sizes, state)];
        return new Summary {
            Title = "null-space-order: the gradient, the step, or the step in the optimizer's metric, projected",
            Question = "Where does training under c(θ) = 0 end when the projection comes before the optimizer (gradient), after it (step), or after it in "
                + "the metric of its scaling (metric)? All from the same weights with the same points, κ and damping. With Adam the projected step P D g need not go "
                + "downhill: of 'linear' the constrained minimum is known, and the gap says how far from it each order ends. Refuted if 'step' with Adam ends "
                + "no further from it than the others.",
            Table = Table(outcomes),
            Figures = Figures(sizes, outcomes),
            Notes = Notes(sizes, state),
            Plots = OrderPlots.Draw(sizes, state, folder),
        };
    }

    private static Dictionary<string, double> Figures(OrderSizes sizes, Outcome[] outcomes)
    {
        var figures = new Dictionary<string, double>();
        foreach (Outcome outcome in outcomes) {
            string name = $"{outcome.Problem}_{outcome.Optimizer}_{outcome.Order}";
            foreach ((string measure, Func<OrderRecord, double> value) in outcome.Measures) {
                figures[$"{name}_{measure}"] = outcome.Mean(value);
                if (sizes.Seeds > 1) {
                    figures[$"{name}_{measure}_deviation"] = outcome.Deviation(value);
                }
            }
            if (outcome.Order != "none") {
                figures[$"{name}_iterations"] = outcome.Mean(end => end.Iterations ?? double.NaN);
            }
        }
        return figures;
    }

    private static SummaryTable Table(Outcome[] outcomes)
    {
        IEnumerable<string[]> rows = outcomes.Select(outcome => outcome.IsWhole
            ? new[] {
                outcome.Problem, outcome.Optimizer, outcome.Order, outcome.Shown(end => end.Constraint), outcome.Shown(end => end.Loss),
                outcome.OtherName is { } other ? $"{other} {outcome.Shown(end => end.Other!.Value)}" : "",
                outcome.Order == "none" ? "" : $"{outcome.Mean(end => end.Iterations ?? double.NaN):F0}",
            }
            : [outcome.Problem, outcome.Optimizer, outcome.Order, $"{outcome.Seeds - outcome.Ends.Length} of {outcome.Seeds} diverged", "", "", ""]);
        return new SummaryTable(["problem", "optimizer", "order", "constraint", "loss", "besides", "iterations"], [.. rows]);
    }

    private static string[] Notes(OrderSizes sizes, OrderState state) => [
        .. sizes.Problems.Select(problem => string.Create(CultureInfo.InvariantCulture,
            $"{problem.Name}: {problem.Steps} steps, {problem.WarmUpSteps} of them without constraint; rates {problem.SgdRate} (sgd), {problem.AdamRate} (adam), {problem.LargeEpsilonRate} (adam_eps, ε = {sizes.LargeEpsilon}); κ = {problem.Rate}, damping {problem.Damp}.")),
        .. state.Divergences.Select(gone => $"{gone.Problem}, seed {gone.Seed + 1}, {gone.Optimizer}, {gone.Order}: diverged at step {gone.Step}."),
        "constraint: root mean square of c on a grid (periodic), of W P − P W (linear), of the marked weights (sparse); the asymmetry (conservative) and "
            + "‖f(gx) − g f(x) gᵀ‖/‖f(x)‖ (equivariant) at test points. The loss is that of training for periodic and linear, at test points for the others.",
        "besides: the error outside the training interval; the loss over the least possible under the constraint, less 1 (gap); the loss once the marked weights are zero; the training loss.",
        "'metric' takes ε of the optimizer, and the mean of squared gradients with SGD too."
            + (sizes.Seeds > 1 ? $" Means over {sizes.Seeds} seeds, ± the standard deviation between them." : ""),
    ];

    private static IEnumerable<Outcome> Outcomes(OrderSizes sizes, OrderState state) =>
        from problem in sizes.Problems
        from network in state.Records.Where(record => record.Problem == problem.Name).GroupBy(record => (record.Optimizer, record.Order, record.OtherName))
        select new Outcome(problem.Name, network.Key.Optimizer, network.Key.Order, network.Key.OtherName, [.. network.Where(record => record.Step == problem.Steps)], sizes.Seeds);

    // The records after the last step, one of each seed; none of those that diverged.
    private sealed record Outcome(string Problem, string Optimizer, string Order, string? OtherName, OrderRecord[] Ends, int Seeds)
    {
        public bool IsWhole => Ends.Length == Seeds;

        public IEnumerable<(string Name, Func<OrderRecord, double> Value)> Measures =>
            OtherName is { } other ? [.. Main, (other, end => end.Other!.Value)] : Main;

        private static (string, Func<OrderRecord, double>)[] Main => [("constraint", end => end.Constraint), ("loss", end => end.Loss)];

        public double Mean(Func<OrderRecord, double> value) => IsWhole ? Ends.Average(value) : double.NaN;

        public double Deviation(Func<OrderRecord, double> value) => IsWhole ? Statistics.Deviation([.. Ends.Select(value)]) : double.NaN;

        public string Shown(Func<OrderRecord, double> value) => Seeds < 2 ? $"{Mean(value):E2}" : $"{Mean(value):E2} ± {Deviation(value):E0}";
    }
}
