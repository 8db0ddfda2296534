using System.Globalization;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class InertiaReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(InertiaSizes sizes, InertiaState state, RunFolder folder)
    {
        var figures = new Dictionary<string, double>();
        var rows = new List<string[]>();
        foreach ((int points, string suffix) in new[] { (sizes.ManyPoints, ""), (sizes.FewPoints, "_few") }) {
            InertiaRecord[] ends = [.. state.Records.Where(record => record.Points == points && record.Step == sizes.Steps)];
            string penalty = Penalty(sizes, ends);
            figures["inertia_penalty_weight" + suffix] = double.Parse(penalty["penalty_".Length..], CultureInfo.InvariantCulture);
            foreach (IGrouping<string, InertiaRecord> lane in ends.GroupBy(end => end.Network)) {
                double[] transformed = [.. lane.Select(end => end.Transformed)];
                double error = lane.Average(end => end.Error), equivariance = lane.Average(end => end.Equivariance);
                string seconds = Statistics.Median(state.StepSeconds[lane.Key]).ToString("F4", CultureInfo.InvariantCulture);
                rows.Add([$"{points}", lane.Key == penalty ? $"{lane.Key} (chosen)" : lane.Key, $"{error:F4}", $"{transformed.Average():F4} ± {Statistics.Deviation(transformed):F4}", $"{equivariance:E1}", seconds]);
                string? name = lane.Key == penalty ? "penalty" : lane.Key.StartsWith("penalty", StringComparison.Ordinal) && lane.Key != "penalty_f_time" ? null : lane.Key;
                if (name is null) {
                    continue;
                }
                figures[$"inertia_error_{name}{suffix}"] = transformed.Average();
                figures[$"inertia_error_spread_{name}{suffix}"] = Statistics.Deviation(transformed);
                figures[$"inertia_error_as_they_are_{name}{suffix}"] = error;
                figures[$"inertia_equivariance_error_{name}{suffix}"] = equivariance;
                figures[$"inertia_seconds_per_step_{name}"] = Statistics.Median(state.StepSeconds[lane.Key]);
            }
            double ours = Math.Min(figures[$"inertia_equivariance_error_f{suffix}"], figures[$"inertia_equivariance_error_w{suffix}"]);
            figures["inertia_augmentation_over_ours_equivariance_error" + suffix] = figures["inertia_equivariance_error_augmentation" + suffix] / ours;
            figures["inertia_augmentation_over_f_equivariance_error" + suffix] = figures["inertia_equivariance_error_augmentation" + suffix] / figures["inertia_equivariance_error_f" + suffix];
        }
        return new Summary {
            Title = "inertia: five point masses under O(3)",
            Question = "Can a network be made to turn with its points by a constraint, on the function on a batch (f) or on every layer's weights (w)? Beside it, with the same points: nothing, "
                + "augmentation, a penalty; and these with about the time of f and of w. Refuted if augmentation has the lower error on transformed test points at equal time.",
            Table = new SummaryTable(["training points", "network", "error", "error transformed", "equivariance error", "seconds per step"], rows),
            Figures = figures,
            Notes = [
                $"Means over {sizes.Seeds} seeds, ± the standard deviation between them; {sizes.TestPoints} test points. Errors are relative: ‖f − I‖/‖I‖ over all points, as they are and each under its own g; ‖f(gx) − g f(x) gᵀ‖/‖f(x)‖.",
                "The penalty's weight is chosen by the error on transformed held-out points. Figures with _few are those of the fewer training points. w is another network, of scalars and vectors; tensors_augmentation is that without the constraint.",
                $"Descents in a step, for about the time of f: augmentation {sizes.FunctionTimeDescents}, penalty {sizes.FunctionTimePenaltyDescents}; for that of w: augmentation {sizes.WeightsTimeDescents}, "
                    + $"tensors_augmentation {sizes.WeightsTimeTensorDescents}. The last column says how equal the times were.",
            ],
            Plots = InertiaPlots.Draw(sizes, state, folder),
        };
    }

    private static string Penalty(InertiaSizes sizes, InertiaRecord[] ends) => sizes.Penalties.Select(InertiaProblem.NameOf)
        .MinBy(name => ends.Where(end => end.Network == name).Average(end => end.HeldOut))!;
}
