using System.Text.RegularExpressions;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static partial class GradientCheckReport
{
    /// <summary>Puts a summary together and draws its plot.</summary>
    public static Summary Of(
        GradientCheckSizes sizes, IReadOnlyList<CellResult> cells, IReadOnlyList<CaseResult> cases, RunFolder folder)
    {
        Dictionary<string, double> figures = Figures(sizes, cells, cases);
        return new Summary {
            Title = "gradient-check: gradients through the solver beside dense float64 algebra",
            Question = "Are the solution and the gradients to b, to what the operator is made of, to λ and to x0 those of dense "
                + "float64 algebra, whatever the shape, the rank, λ, x0, the float type and the kind of operator? Refuted by any "
                + "cell that fails, or whose error is over the goal of its float type.",
            Table = Table(cells),
            Figures = figures,
            Failure = Failure(sizes, figures, cases),
            Notes = Notes(sizes, cells, cases, figures),
            Plots = [GradientCheckPlot.Draw(sizes, cells, folder)],
        };
    }

    /// <summary>A row a case.</summary>
    public static SummaryTable CaseTable(IEnumerable<CaseResult> cases) => new(
        ["case", "name", "x", "dL/db", "dL/dA", "dL/ddamp", "dL/dx0"],
        [.. cases.Select(at => (string[])[$"{at.Index}", at.Name, .. at.Errors is { } errors ? errors.Values.Select(error => Show(error)) : Enumerable.Repeat("failed", 5)])]);

    private static Dictionary<string, double> Figures(
        GradientCheckSizes sizes, IReadOnlyList<CellResult> cells, IReadOnlyList<CaseResult> cases)
    {
        CellResult[] compared = [.. cells.Where(at => at.Errors is not null)];
        var figures = new Dictionary<string, double> {
            ["cells"] = compared.Select(at => at.Cell.Combination).Distinct().Count(),
            ["comparisons"] = compared.Length,
            ["failed_cells"] = cells.Count - compared.Length,
            ["worst_error_float64"] = Worst(compared, isDouble: true),
            ["worst_error_float32"] = Worst(compared, isDouble: false),
            ["worst_difference_error"] = compared.Select(at => at.Errors!.Difference ?? 0).DefaultIfEmpty(double.NaN).Max(),
            ["cells_over_goal_float64"] = compared.Count(at => at.Cell.IsDouble && IsOver(at, sizes)),
            ["cells_over_goal_float32"] = compared.Count(at => !at.Cell.IsDouble && IsOver(at, sizes)),
            ["cells_over_goal_difference"] = compared.Count(at => at.Errors!.Difference > sizes.GoalDifference),
        };
        foreach (double cond in sizes.Conds) {
            foreach (bool isDouble in new[] { true, false }) {
                figures[$"worst_error_{(isDouble ? "float64" : "float32")}_cond_{cond}"] =
                    Worst(compared.Where(at => at.Cell.Cond == cond), isDouble);
            }
        }
        if (cases.Count > 0) {
            figures["cases"] = cases.Count;
            figures["failed_cases"] = cases.Count(at => at.Errors is null);
            foreach (CaseResult at in cases) {
                figures[$"case_{at.Index}_worst"] = at.Errors?.Worst ?? double.NaN;
            }
        }
        return figures;
    }

    private static string? Failure(GradientCheckSizes sizes, Dictionary<string, double> figures, IReadOnlyList<CaseResult> cases)
    {
        var failures = new List<string>();
        Add("cells failed", figures["failed_cells"]);
        Add("float64 cells are over the goal", figures["cells_over_goal_float64"]);
        Add("float32 cells are over the goal", figures["cells_over_goal_float32"]);
        Add("cells are over the goal beside central differences", figures["cells_over_goal_difference"]);
        Add("cases failed", cases.Count(at => at.Errors is null));
        Add("cases are over the goal", cases.Count(at => at.Errors?.Worst > sizes.GoalCase));
        return failures.Count == 0 ? null : $"The check failed: {string.Join(", ", failures)}.";

        void Add(string what, double count)
        {
            if (count != 0) {
                failures.Add($"{count} {what}");
            }
        }
    }

    private static SummaryTable Table(IReadOnlyList<CellResult> cells)
    {
        string[] columns = [
            "shape", "λ", "rank", .. CellErrors.Quantities.Select(name => name + " f64"), "diff. f64",
            .. CellErrors.Quantities.Select(name => name + " f32"), "failed",
        ];
        IEnumerable<string[]> rows = cells.GroupBy(at => (at.Cell.Shape, at.Cell.Damp, at.Cell.RankName)).Select(group => {
            int failed = group.Count(at => at.Errors is null);
            return (string[])[
                $"{group.Key.Shape}", $"{group.Key.Damp}", group.Key.RankName,
                .. Worsts(group.Where(at => at.Cell.IsDouble)),
                Show(group.Max(at => at.Errors?.Difference), group.Any(at => at.Cell.IsDouble)),
                .. Worsts(group.Where(at => !at.Cell.IsDouble)),
                failed == 0 ? "" : $"{failed} of {group.Count()}",
            ];
        });
        return new SummaryTable(columns, [.. rows]);

        static IEnumerable<string> Worsts(IEnumerable<CellResult> of) =>
            Enumerable.Range(0, CellErrors.Quantities.Count).Select(i => Show(of.Max(at => at.Errors?.Values[i]), of.Any()));
    }

    private static string[] Notes(
        GradientCheckSizes sizes, IReadOnlyList<CellResult> cells, IReadOnlyList<CaseResult> cases, Dictionary<string, double> figures)
    {
        var notes = new List<string> {
            "Errors are the worst over x0, kinds of operator, sizes and conditions; A stands for the entries, the values of CSR, or the "
                + "parameters of closure and Jacobian. They are relative to the norm of the reference, or to a thousandth of what it could "
                + "be (‖g‖/‖A‖ for b, ‖g‖ for x0, ‖r‖‖w‖ + ‖p‖‖x‖ + ‖y‖‖s‖ for A), for λ to all of 2λ‖w‖‖d‖, where that is more.",
            $"{figures["cells"]} combinations at cond {string.Join(", ", sizes.Conds)} were compared; {figures["failed_cells"]} of "
                + $"{cells.Count} cells failed; {figures["cells_over_goal_float64"]} of float64 are over {sizes.GoalFloat64:0e+0}, "
                + $"{figures["cells_over_goal_float32"]} of float32 over {sizes.GoalFloat32:0e+0}, "
                + $"{figures["cells_over_goal_difference"]} over {sizes.GoalDifference:0e+0} beside central differences.",
        };
        foreach (CellResult worst in cells.Where(at => at.Errors is not null && IsOver(at, sizes))
            .GroupBy(at => (at.Cell.Shape, at.Cell.Damp, at.Cell.RankName, at.Cell.Dtype)).Select(group => group.MaxBy(at => at.Errors!.Worst)!)) {
            int quantity = Array.IndexOf(worst.Errors!.Values, worst.Errors.Worst);
            notes.Add($"Over the goal: {CellErrors.Quantities[quantity]} {Show(worst.Errors.Worst)} at {worst.Cell}.");
        }
        notes.AddRange(cells.Where(at => at.Failure is not null).GroupBy(at => Numbers().Replace(at.Failure!, "#"))
            .Select(group => $"{group.Count()} failed, such as {group.First().Cell}: {group.First().Failure}"));
        notes.AddRange(cases.Where(at => at.Failure is not null).Select(at => $"Case {at.Index} ({at.Name}) failed: {at.Failure}"));
        int over = cases.Count(at => at.Errors?.Worst > sizes.GoalCase);
        if (cases.Count > 0) {
            notes.Add($"{cases.Count} cases of {sizes.Cases}: {over} over {sizes.GoalCase:0e+0}, {cases.Count(at => at.Errors is null)} failed.");
        }
        return [.. notes];
    }

    private static bool IsOver(CellResult at, GradientCheckSizes sizes) =>
        at.Errors!.Worst > (at.Cell.IsDouble ? sizes.GoalFloat64 : sizes.GoalFloat32);

    private static double Worst(IEnumerable<CellResult> compared, bool isDouble) =>
        compared.Where(at => at.Cell.IsDouble == isDouble).Select(at => at.Errors!.Worst).DefaultIfEmpty(double.NaN).Max();

    private static string Show(double? error, bool wasTried = true) =>
        error is double value ? value.ToString("0.0e+00") : wasTried ? "failed" : "";

    /// <summary>What differs between two failures of one kind: iterations and norms.</summary>
    [GeneratedRegex(@"\d[\d.e+-]*")]
    private static partial Regex Numbers();
}
