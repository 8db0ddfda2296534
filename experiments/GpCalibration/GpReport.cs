using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class GpReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(GpSizes sizes, GpState state, RunFolder folder)
    {
        SetFindings[] sets = [.. state.Results.GroupBy(at => at.Set).Select(group => new SetFindings(group.Key, [.. group], sizes.LimitSeconds))];
        Dictionary<string, double> figures = Figures(sets, state.Sweep);
        return new Summary {
            Title = "gp-calibration: hyper-parameters from predictions, through the solver",
            Question = "Length scales, amplitude and noise of a Gaussian process are chosen so that held-back examples are predicted well, the gradient "
                + "coming through a least-squares solution; is that sooner done than maximising the log marginal likelihood, and are the "
                + "predictions for test examples better? A speed-up under 1, or a larger error on most sets, would say no.",
            Table = Table(sets),
            Figures = figures,
            Notes = Notes(sizes, sets, state.Sweep, figures),
            Plots = GpPlots.Draw(sets, state, folder),
        };
    }

    private static Dictionary<string, double> Figures(SetFindings[] sets, IReadOnlyList<SweepPoint> sweep)
    {
        var figures = new Dictionary<string, double>();
        foreach (SetFindings set in sets) {
            (figures[$"{set.Name}_speedup_exact"], bool isBound) = set.Speedup("exact_ml");
            figures[$"{set.Name}_speedup_exact_is_lower_bound"] = isBound ? 1 : 0;
            (figures[$"{set.Name}_speedup_feature_space"], isBound) = set.Speedup("feature_ml");
            figures[$"{set.Name}_speedup_feature_space_is_lower_bound"] = isBound ? 1 : 0;
            foreach (string method in set.Methods.Where(method => set.Of(method).Length > 0)) {
                (figures[$"{set.Name}_rmse_{method}"], figures[$"{set.Name}_rmse_error_{method}"]) = set.Rmse(method);
                (figures[$"{set.Name}_nlpd_{method}"], figures[$"{set.Name}_nlpd_error_{method}"]) = set.Nlpd(method);
                figures[$"{set.Name}_coverage95_{method}"] = set.Coverage(method).Mean;
                figures[$"{set.Name}_seconds_{method}"] = set.Seconds(method).Mean;
            }
        }
        SetFindings[] many = [.. sets.Where(set => set.CountsForMedian)];
        figures["median_speedup_exact"] = Statistics.Median(many.Select(set => set.Speedup("exact_ml").Ratio));
        figures["median_speedup_feature_space"] = Statistics.Median(many.Select(set => set.Speedup("feature_ml").Ratio));
        figures["sets_better_rmse"] = sets.Count(set => set.Rmse("ours").Mean < set.Rmse(set.BestLikelihood(set.Rmse)).Mean);
        figures["sets_better_nlpd"] = sets.Count(set => set.Nlpd("ours").Mean < set.Nlpd(set.BestLikelihood(set.Nlpd)).Mean);
        figures["sets_no_worse_rmse"] = sets.Count(set => IsNoWorse(set, "ours", set.BestLikelihood(set.Rmse)));
        figures["sets_no_worse_rmse_same_features"] = sets.Count(set => IsNoWorse(set, "ours", "feature_ml"));
        SetFindings[] exact = [.. sets.Where(set => set.Of("ours_kernel").Length > 0 && set.Of("exact_ml").Length > 0)];
        figures["sets_better_rmse_same_kernel"] = exact.Count(set => set.Difference("ours_kernel", "exact_ml", at => at.Rmse).Mean < 0);
        figures["sets_same_kernel"] = exact.Length;
        figures["sets_no_worse_rmse_own_kernel"] = sets.Count(set => IsNoWorse(set, WithKernel(set), set.BestLikelihood(set.Rmse)));
        SetFindings[] densities = [.. sets.Where(set => set.Of("ours_nlpd").Length > 0)];
        figures["sets_density_loss"] = densities.Length;
        figures["sets_better_nlpd_density_loss"] = densities.Count(set => set.Difference("ours_nlpd", set.BestLikelihood(set.Nlpd), at => at.Nlpd).Mean < 0);
        figures["sets_density_loss_over_squared_nlpd"] = densities.Count(set => set.Difference("ours_nlpd", "ours", at => at.Nlpd).Mean < 0);
        figures["sets_density_loss_over_squared_rmse"] = densities.Count(set => set.Difference("ours_nlpd", "ours", at => at.Rmse).Mean < 0);
        figures["sets"] = sets.Length;
        figures["features_where_ours_wins"] = FeaturesWhereOursWins(sweep) ?? double.NaN;
        foreach (SweepPoint point in sweep) {
            figures[$"step_seconds_ours_{point.Features}"] = point.Ours;
            figures[$"step_seconds_feature_ml_{point.Features}"] = point.FeatureMl;
        }
        return figures;
    }

    // Ours as it is best used: the kernel itself where it was tried on every split, features where there are too many examples.
    private static string WithKernel(SetFindings set) => set.Of("ours_kernel").Length == set.Of("ours").Length ? "ours_kernel" : "ours";

    /// <summary>The least number of features from which on a step of ours takes less time; null where the largest still takes more.</summary>
    internal static int? FeaturesWhereOursWins(IReadOnlyList<SweepPoint> sweep)
    {
        SweepPoint[] wins = [.. sweep.OrderByDescending(at => at.Features).TakeWhile(at => at.Ours < at.FeatureMl)];
        return wins.Length == 0 ? null : wins[^1].Features;
    }

    // Not larger by more than the standard error of the difference over the splits.
    private static bool IsNoWorse(SetFindings set, string method, string other)
    {
        (double mean, double error) = set.Difference(method, other, at => at.Rmse);
        return mean <= error;
    }

    private static SummaryTable Table(SetFindings[] sets) => new(
        ["set", "training examples", "inputs", "method", "RMSE", "NLPD", "in 95 % interval", "seconds to 1 %", "speed-up of ours"],
        [.. sets.SelectMany(set => set.Methods.Select(method => Row(set, method)))]);

    private static string[] Row(SetFindings set, string method)
    {
        string[] head = [set.Name, $"{set.Count}", $"{set.Inputs}", method];
        string speedup = "";
        if (method is "exact_ml" or "feature_ml") {
            (double ratio, bool isBound) = set.Speedup(method);
            speedup = $"{(isBound ? "≥ " : "")}{ratio:F1}";
        }
        return set.Of(method).Length == 0
            ? [.. head, "", "", "", set.End(method) switch { GpEnd.Memory => "over the memory limit", _ => "a step over the time limit" }, speedup]
            : [.. head, $"{set.Rmse(method)}", $"{set.Nlpd(method)}", $"{set.Coverage(method).Mean:P1}",
                set.End(method) == GpEnd.Finished ? $"{set.Seconds(method).Mean:F2}" : "over the time limit", speedup];
    }

    private static string[] Notes(GpSizes sizes, SetFindings[] sets, IReadOnlyList<SweepPoint> sweep, Dictionary<string, double> figures)
    {
        string[] losing = [.. sets.Where(set => set.Rmse("ours").Mean >= set.Rmse(set.BestLikelihood(set.Rmse)).Mean)
            .Select(set => $"{set.Name} ({set.BestLikelihood(set.Rmse)})")];
        string[] better = [.. sets.Where(set => set.Nlpd("ours").Mean < set.Nlpd(set.BestLikelihood(set.Nlpd)).Mean).Select(set => set.Name)];
        return [
            $"Mean ± standard error over {sizes.Splits} splits ({sizes.SplitsOfMany} where a step does not use all training examples; at most {sizes.ExactKernelSplits} of ours_kernel, {sizes.DensitySplits} of ours_nlpd), targets standardised; kernel {sizes.Kernel}, "
                + $"D = {sizes.Features} features, {sizes.Steps} steps of Adam at {sizes.LearningRate} from the same values for all.",
            "Seconds are those on the clock until the method's own loss, looked at off the clock on examples that stay the same, is above its final value (the mean of the last fifth of "
                + "the looks) by no more than 1 % of its descent from the first look, and stays so. A likelihood passes through zero, so that 1 % of itself would mean nothing.",
            $"exact_ml is stopped after {sizes.LimitSeconds:F0} s, and not begun where a factor and an inverse of that size, extrapolated by the third power from one of 1,500 rows, alone take longer for a single "
                + $"step, or where its matrices take more than {sizes.MemoryLimit:0.#e+0} bytes: the speed-up (≥) then is the limit over ours.",
            $"Ours has the lower error than the best likelihood that finished on {figures["sets_better_rmse"]} of {figures["sets"]} sets, and is worse by no more than a standard error of the difference on {figures["sets_no_worse_rmse"]}"
                + (losing.Length == 0 ? "." : $"; the likelihood wins on {string.Join(", ", losing)}. Exact_ml has the kernel itself where ours and feature_ml have {sizes.Features} random features of it."),
            $"With the same features ours is no worse by that measure on {figures["sets_no_worse_rmse_same_features"]} of {figures["sets"]} sets; with the same exact kernel ours_kernel has the lower error on {figures["sets_better_rmse_same_kernel"]} of {figures["sets_same_kernel"]}.",
            $"With the kernel itself up to {sizes.ExactKernelUpTo} examples (ours_kernel), and features beyond, the error is no worse than the best likelihood's by that measure on {figures["sets_no_worse_rmse_own_kernel"]} of {figures["sets"]} sets.",
            $"With the log density of held-back examples as the loss (ours_nlpd, variances of {sizes.Variances} examples of a fold in each step) the density of test examples is better than with squared error on {figures["sets_density_loss_over_squared_nlpd"]} "
                + $"of {figures["sets_density_loss"]} sets, the error on {figures["sets_density_loss_over_squared_rmse"]}, and the density better than the best likelihood's on {figures["sets_better_nlpd_density_loss"]}, on the splits that both have.",
            $"The log density of ours is better than the best likelihood's on {(better.Length == 0 ? "no set" : string.Join(", ", better))}: squared error says nothing of the variance but by one last number, fitted to held-back examples.",
            FeaturesWhereOursWins(sweep) is int features
                ? $"A step of ours costs less than one of feature_ml from D = {features} on ({sizes.SweepRows} examples), whose cost grows with D² and D³, and that of ours with D; below, the likelihood wins."
                : "At no D of the sweep does a step of ours cost less than one of feature_ml.",
        ];
    }
}
