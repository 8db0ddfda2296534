using System.Text.RegularExpressions;
using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static partial class ConditioningReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(ConditioningSizes sizes, IReadOnlyList<PointResult> results, TallResult tall, RunFolder folder)
    {
        Median[] medians = [.. results.GroupBy(at => (at.Point.Sweep, at.Point.Lane, at.Point.Value)).Select(group => new Median(
            group.Key.Sweep, group.Key.Lane, group.Key.Value, Statistics.Median(group.Select(at => at.Error)), group.All(at => at.Converged)))];
        Lane[] lanes = [.. medians.Select(at => at.Lane).Distinct()];
        Dictionary<string, double> figures = Figures(medians, lanes);
        AddTall(figures, tall);
        return new Summary {
            Title = "conditioning: when do the gradients break?",
            Question = "How far are the gradients to b and A from the truth as A gets worse conditioned, as the tolerances of the solve "
                + "and of its gradient are loosened, and as the products themselves are inexact? A tolerance or a noise does what a "
                + "user expects if the error falls in proportion with it: an exponent of 1.",
            Table = Table(medians, lanes),
            Figures = figures,
            Notes = [.. Notes(sizes, results, figures), TallNote(figures, tall)],
            Plots = ConditioningPlots.Draw(sizes, medians, lanes, folder),
        };
    }

    /// <summary>
    /// The slope of log error against log value by least squares, over the points where the error is at least ten times the
    /// smallest of its lane (its floor) and at most 0.3 (above it is no small error, and grows no more); NaN under three.
    /// </summary>
    internal static double Exponent(IEnumerable<(double Value, double Error)> points)
    {
        (double Value, double Error)[] all = [.. points];
        double floor = all.Min(at => at.Error);
        (double X, double Y)[] fitted = [.. all.Where(at => at.Error >= 10 * floor && at.Error <= 0.3)
            .Select(at => (Math.Log10(at.Value), Math.Log10(at.Error)))];
        if (fitted.Length < 3) {
            return double.NaN;
        }
        (double meanX, double meanY) = (fitted.Average(at => at.X), fitted.Average(at => at.Y));
        return fitted.Sum(at => (at.X - meanX) * (at.Y - meanY)) / fitted.Sum(at => (at.X - meanX) * (at.X - meanX));
    }

    private static Dictionary<string, double> Figures(Median[] medians, Lane[] lanes)
    {
        var figures = new Dictionary<string, double>();
        foreach (Lane lane in lanes) {
            string suffix = Suffix(lane);
            figures["tolerance_exponent" + suffix] = Slope(Sweep.Tolerance, lane);
            figures["forward_tolerance_exponent" + suffix] = Slope(Sweep.ForwardTolerance, lane);
            figures["backward_tolerance_exponent" + suffix] = Slope(Sweep.BackwardTolerance, lane);
            figures["noise_exponent" + suffix] = Slope(Sweep.Noise, lane);
            foreach (Median at in medians.Where(at => at.Sweep == Sweep.Cond && at.Lane == lane)) {
                figures[$"error_cond_{at.Value:0e+0}{suffix}"] = at.Error;
            }
        }
        foreach (string name in figures.Keys.Where(name => double.IsNaN(figures[name]) && name.Contains("exponent_")).ToArray()) {
            figures.Remove(name); // too few points between the floor and 0.3; the plain lane's stay, as null
        }
        figures["failed_points"] = medians.Count(at => !double.IsFinite(at.Error));
        figures["unconverged_points"] = medians.Count(at => !at.Converged);
        return figures;

        double Slope(Sweep sweep, Lane lane) =>
            Exponent(medians.Where(at => at.Sweep == sweep && at.Lane == lane).Select(at => (at.Value, at.Error)));
    }

    private static void AddTall(Dictionary<string, double> figures, TallResult tall)
    {
        string name = TallName(tall);
        double seconds = Statistics.Median(tall.Rounds.Select(at => at.Seconds)), lstsqSeconds = Statistics.Median(tall.Rounds.Select(at => at.LstsqSeconds));
        figures[name + "_over_lstsq"] = Statistics.Median(tall.Rounds.Select(at => at.Seconds / at.LstsqSeconds));
        figures[name + "_seconds"] = seconds;
        figures[name + "_lstsq_seconds"] = lstsqSeconds;
        figures[name + "_iterations"] = tall.Rounds.Max(at => at.Iterations);
        figures[name + "_error"] = tall.Rounds.Max(at => at.Error);
        figures[name + "_lstsq_error"] = tall.Rounds.Max(at => at.LstsqError);
    }

    private static string TallNote(Dictionary<string, double> figures, TallResult tall)
    {
        string name = TallName(tall);
        return $"A dense {tall.Rows} x {tall.Columns} matrix, float64, cond {TallTiming.Cond:0e+0}, misfit {TallTiming.Misfit:P0}, {tall.Threads} threads: a sketch and LSMR to "
            + $"{TallTiming.Tolerance:0e+0} take {figures[name + "_seconds"]:G3} s ({figures[name + "_iterations"]} iterations, stop {tall.Stop}, "
            + $"error of A x {figures[name + "_error"]:0.0e+00}), torch.linalg.lstsq {figures[name + "_lstsq_seconds"]:G3} s (error {figures[name + "_lstsq_error"]:0.0e+00}): "
            + $"{figures[name + "_over_lstsq"]:F2} of it. Medians of {tall.Rounds.Count}, taking turns.";
    }

    private static string TallName(TallResult tall) => $"tall_{tall.Rows}x{tall.Columns}";

    /// <summary>The plain float64 solve without damping has the short names.</summary>
    private static string Suffix(Lane lane) =>
        (lane.Dtype == torch.ScalarType.Float64 ? "" : "_float32") + (lane.Damp == 0 ? "" : $"_damp_{lane.Damp:0e+0}")
        + (lane.IsPlain ? "" : "_" + lane.Variant);

    private static SummaryTable Table(Median[] medians, Lane[] lanes) => new(
        ["sweep", "value", "variant", .. lanes.Select(lane => lane.Problem).Distinct()],
        [.. medians.GroupBy(at => (at.Sweep, at.Value, at.Lane.Variant)).Select(group => (string[])[
            $"{group.Key.Sweep}", $"{group.Key.Value:0e+0}", group.Key.Variant,
            .. lanes.Where(lane => lane.Variant == group.Key.Variant).Select(lane => group.Single(at => at.Lane == lane)).Select(Show),
        ])]);

    private static string Show(Median at) =>
        double.IsFinite(at.Error) ? $"{at.Error:0.0e+00}{(at.Converged ? "" : " *")}" : "failed";

    private static string[] Notes(
        ConditioningSizes sizes, IReadOnlyList<PointResult> results, Dictionary<string, double> figures) => [
        "The larger relative error of ∂b and ∂A, median over " + $"{sizes.Seeds} problems of {4 * sizes.Columns} x {sizes.Columns}, ‖A‖ = 1, "
            + $"singular values evenly spread on a logarithmic scale, misfit {sizes.Misfit:0e+0}; * marks points of which a solve "
            + $"did not converge within {sizes.MaxIterations} iterations, or its gradient within as many, or whose audit denied that it had "
            + "(products with noise; a tolerance below round-off).",
        $"cond(A) = {sizes.SweepCond:0e+0} where tolerance or noise varies; tolerances are at their floor (3 eps) where they do not.",
        $"Without damping, in float64, the error goes with the power {figures["tolerance_exponent"]:F2} of the tolerance (of the forward "
            + $"one alone {figures["forward_tolerance_exponent"]:F2}, of the backward one alone {figures["backward_tolerance_exponent"]:F2}) and with "
            + $"the power {figures["noise_exponent"]:F2} of the noise.",
        $"{results.Count(at => !at.Converged && at.Failure is null)} of {results.Count} solves were accepted unconverged.",
        .. results.Where(at => at.Failure is not null).GroupBy(at => Numbers().Replace(at.Failure!, "#")).Select(group =>
            $"{group.Count()} gradients failed, such as {group.First().Point.Sweep} {group.First().Point.Value:0e+0}, {group.First().Point.Lane}: {group.First().Failure}"),
    ];

    /// <summary>What differs between two failures of one kind.</summary>
    [GeneratedRegex(@"\d[\d.e+-]*")]
    private static partial Regex Numbers();
}
