using System.Globalization;
using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class EquivarianceReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(EquivarianceSizes sizes, string source, EquivarianceRun run, EquivarianceState state, int testCount, RunFolder folder)
    {
        EpochRecord[] ends = [.. state.Epochs.Where(record => record.Epoch == sizes.Epochs)];
        string penalty = ends.Where(end => end.Network.StartsWith("penalty", StringComparison.Ordinal)).MaxBy(end => end.TransformedAccuracy)!.Network;
        Dictionary<string, double> figures = Figures(source, state, ends, penalty);
        double error = 100 * Math.Sqrt(0.25 / testCount);
        return new Summary {
            Title = "equivariance: images under the eight symmetries of the square",
            Question = "Can an ordinary network be made to answer the same for an image however it is turned and flipped, by a constraint: on every layer's "
                + "weights (w), or on the function on a batch (f)? Beside it, on the same batches: nothing, augmentation by random symmetries, and a penalty on f(gx) − f(x), "
                + "its weight the best of a grid by the accuracy that is reported. Refuted if w's equivariance error is over 1e-4, or its accuracy on "
                + "transformed images below augmentation's, at equal width or at equal freedom.",
            Table = Table(run, state, ends),
            Figures = figures,
            Notes = [
                string.Create(CultureInfo.InvariantCulture, $"One seed; {testCount} test images, a standard error of {error:F1} points for an accuracy of a half. The equivariance error is ‖f(gx) − f(x)‖/‖f(x)‖ over the test images, g drawn for each."),
                $"w and w_wide hold all weights W to W = g W ρ(g) from the first step; w_wide is so wide that its free weights are about as many as the others' (last column). "
                    + "f holds f(gx) = f(x) on a part of each batch, solved in a few iterations, from the first step; f_augmentation does so under augmentation, and "
                    + $"f_trained after {sizes.TrainedEpochs} epochs without.",
                $"'penalty' in the figures is {penalty}.",
            ],
            Plots = EquivariancePlots.Draw(state, penalty, folder),
        };
    }

    private static Dictionary<string, double> Figures(string source, EquivarianceState state, EpochRecord[] ends, string penalty)
    {
        var figures = new Dictionary<string, double>();
        (string Name, EpochRecord End)[] networks = [.. ends
            .Where(end => !end.Network.StartsWith("penalty", StringComparison.Ordinal) || end.Network == penalty)
            .Select(end => (end.Network == penalty ? "penalty" : end.Network, end))];
        foreach ((string name, EpochRecord end) in networks) {
            figures[$"{source}_equivariance_error_{name}"] = end.EquivarianceError;
        }
        foreach ((string name, EpochRecord end) in networks) {
            figures[$"{source}_transformed_accuracy_{name}"] = end.TransformedAccuracy;
        }
        foreach ((string name, EpochRecord end) in networks) {
            figures[$"{source}_accuracy_{name}"] = end.Accuracy;
        }
        foreach ((string name, EpochRecord end) in networks) {
            figures[$"{source}_seconds_per_step_{name}"] = Statistics.Median(state.StepSeconds[end.Network]);
        }
        double ours = Math.Min(figures[$"{source}_equivariance_error_w"], figures[$"{source}_equivariance_error_f"]);
        figures[$"{source}_augmentation_over_ours_equivariance_error"] = figures[$"{source}_equivariance_error_augmentation"] / ours;
        figures[$"{source}_w_step_over_augmentation"] = figures[$"{source}_seconds_per_step_w"] / figures[$"{source}_seconds_per_step_augmentation"];
        figures["penalty_weight"] = double.Parse(penalty["penalty_".Length..], CultureInfo.InvariantCulture);
        return figures;
    }

    private static SummaryTable Table(EquivarianceRun run, EquivarianceState state, EpochRecord[] ends)
    {
        IEnumerable<string[]> rows = ends.Zip(run.Lanes, (end, lane) => new[] {
            end.Network, $"{end.Accuracy:P2}", $"{end.TransformedAccuracy:P2}", $"{end.EquivarianceError:E1}", $"{Statistics.Median(state.StepSeconds[end.Network]):F4}", $"{Freedom(lane):N0}",
        });
        return new SummaryTable(["network", "accuracy", "accuracy transformed", "equivariance error", "seconds per step", "free weights"], [.. rows]);
    }

    // Weights, or orbits of weights: one in eight between fields, more where entries stay in their place.
    private static long Freedom(EquivarianceLane lane) => lane is WeightsLane ? FieldConstraint.Freedom(lane.Model) : lane.Model.parameters().Sum(parameter => parameter.numel());
}
