using System.Globalization;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class EquivarianceReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(EquivarianceSizes sizes, string source, EquivarianceState state, int testCount, RunFolder folder)
    {
        ILookup<string, EpochRecord> ends = state.Epochs.Where(record => record.Epoch == sizes.Epochs).ToLookup(record => record.Network);
        string penalty = ends.Where(end => IsPenalty(end.Key)).MaxBy(end => end.Average(record => record.TransformedAccuracy))!.Key;
        Dictionary<string, double> figures = Figures(source, state, ends, penalty);
        return new Summary {
            Title = "equivariance: images under the eight symmetries of the square",
            Question = "Can an ordinary network be made to answer the same for an image however it is turned and flipped, by a constraint: on every layer's "
                + "weights (w), or on the function on a batch (f)? Beside it, on the same batches: nothing, augmentation by random symmetries, and a penalty on f(gx) − f(x), "
                + "its weight the best of a grid by the accuracy that is reported. Refuted if w's equivariance error is over 1e-4, or its accuracy on "
                + "transformed images below augmentation's at equal freedom, with as many steps or as much time.",
            Table = Table(state, ends),
            Figures = figures,
            Notes = [
                $"Means over {sizes.Seeds} seeds, ± the standard deviation between them; what has none is of the first. "
                    + string.Create(CultureInfo.InvariantCulture, $"{testCount} test images, a standard error of {100 * Math.Sqrt(0.25 / testCount):F1} points for an accuracy of a half. ")
                    + "The equivariance error is ‖f(gx) − f(x)‖/‖f(x)‖ over the test images, g drawn for each.",
                "w and w_wide hold all weights W to W = g W ρ(g) from the first step; w_wide is so wide that its free weights are about as many as those of the narrow others (last column). "
                    + string.Create(CultureInfo.InvariantCulture, $"Their learning rate rises to {sizes.WeightsPeak}, that of the others to {sizes.Peak}. ")
                    + $"augmentation_equal_time descends {sizes.EqualTimeDescents} times in a step, each on a batch of its own; the seconds say how equal the times were.",
                $"f holds the root mean square of f(gx) − f(x) over {sizes.FunctionImages} images of each batch, κ = {sizes.FunctionRate} at the highest learning rate, from the first step; f_augmentation does so "
                    + $"under augmentation, and f_trained after {sizes.TrainedEpochs} epochs without. f_each holds each logit of {sizes.EachImages} images, κ = {sizes.EachRate}, solved in at most {sizes.EachIterations} iterations.",
                string.Create(CultureInfo.InvariantCulture, $"Transformed images, points of w_wide over augmentation: {Points("augmentation")}; over augmentation_equal_time: {Points("augmentation_equal_time")}; over augmentation_wide: {Points("augmentation_wide")} (95 % intervals of the paired differences, Student's t)."),
                $"'penalty' in the figures is {penalty}.",
            ],
            Plots = EquivariancePlots.Draw(state, penalty, folder),
        };

        string Points(string other)
        {
            PairedDifference difference = Difference(ends, "w_wide", other);
            return string.Create(CultureInfo.InvariantCulture, $"{100 * difference.Mean:+0.0;-0.0;0.0} ({100 * difference.Low:F1} to {100 * difference.High:F1})");
        }
    }

    private static bool IsPenalty(string network) => network.StartsWith("penalty", StringComparison.Ordinal);

    private static PairedDifference Difference(ILookup<string, EpochRecord> ends, string ours, string other) =>
        PairedDifference.Of([.. ends[ours].Select(end => end.TransformedAccuracy)], [.. ends[other].Select(end => end.TransformedAccuracy)]);

    private static Dictionary<string, double> Figures(string source, EquivarianceState state, ILookup<string, EpochRecord> ends, string penalty)
    {
        var figures = new Dictionary<string, double>();
        foreach (IGrouping<string, EpochRecord> end in ends.Where(end => !IsPenalty(end.Key) || end.Key == penalty)) {
            string name = end.Key == penalty ? "penalty" : end.Key;
            figures[$"{source}_equivariance_error_{name}"] = end.Average(record => record.EquivarianceError);
            figures[$"{source}_transformed_accuracy_{name}"] = end.Average(record => record.TransformedAccuracy);
            figures[$"{source}_accuracy_{name}"] = end.Average(record => record.Accuracy);
            figures[$"{source}_seconds_per_step_{name}"] = Statistics.Median(state.StepSeconds[end.Key]);
        }
        double ours = Math.Min(figures[$"{source}_equivariance_error_w"], figures[$"{source}_equivariance_error_f"]);
        figures[$"{source}_augmentation_over_ours_equivariance_error"] = figures[$"{source}_equivariance_error_augmentation"] / ours;
        figures[$"{source}_w_step_over_augmentation"] = figures[$"{source}_seconds_per_step_w"] / figures[$"{source}_seconds_per_step_augmentation"];
        figures["penalty_weight"] = double.Parse(penalty["penalty_".Length..], CultureInfo.InvariantCulture);
        foreach ((string name, string other) in new[] {
            ("f", "augmentation"), ("w", "augmentation"), ("w_wide", "augmentation"), ("w_wide", "augmentation_equal_time"), ("w_wide", "augmentation_wide"),
        }) {
            Difference(ends, name, other).AddTo(figures, $"{source}_transformed_accuracy_{name}_minus_{other}");
        }
        return figures;
    }

    private static SummaryTable Table(EquivarianceState state, ILookup<string, EpochRecord> ends) => new(
        ["network", "accuracy", "accuracy transformed", "equivariance error", "seconds per step", "free weights"],
        [.. ends.Select(end => new[] {
            end.Key, Statistics.Percent(end.Select(record => record.Accuracy)), Statistics.Percent(end.Select(record => record.TransformedAccuracy)), $"{end.Average(record => record.EquivarianceError):E1}",
            $"{Statistics.Median(state.StepSeconds[end.Key]):F4}", $"{state.Freedom[end.Key]:N0}",
        })]);
}
