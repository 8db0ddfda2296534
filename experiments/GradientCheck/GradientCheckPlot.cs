using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>The worst error of every cell, with the goals as lines.</summary>
internal static class GradientCheckPlot
{
    private const double Floor = 1e-17; // an error of exactly zero has no logarithm

    /// <summary>Draws it and returns its path in the run's folder.</summary>
    public static string Draw(GradientCheckSizes sizes, IReadOnlyList<CellResult> cells, RunFolder folder)
    {
        Plot plot = Plots.New("Worst relative error of solution and gradients, cell by cell",
            "cell (by size, condition, shape, λ, rank, x0, kind of operator)", "relative error");
        Dictionary<Cell, int> places = []; // both types of a cell stand at the same place
        foreach (CellResult at in cells) {
            places.TryAdd(at.Cell with { Dtype = default }, places.Count);
        }
        (bool IsDouble, string Name, Color Colour, double Goal)[] types = [
            (true, "float64", Plots.Colours[1], sizes.GoalFloat64), (false, "float32", Plots.Colours[0], sizes.GoalFloat32),
        ];
        foreach ((bool isDouble, string name, Color colour, double goal) in types) {
            (int Place, CellResult Result)[] own = [
                .. cells.Where(at => at.Cell.IsDouble == isDouble).Select(at => (places[at.Cell with { Dtype = default }], at)),
            ];
            (int Place, CellResult Result)[] compared = [.. own.Where(at => at.Result.Errors is not null)];
            (int Place, CellResult Result)[] failed = [.. own.Where(at => at.Result.Errors is null)];
            Points(plot, name, compared.Select(at => at.Place),
                compared.Select(at => Math.Log10(Math.Max(Floor, at.Result.Errors!.Worst))), colour, MarkerShape.FilledCircle);
            if (failed.Length > 0) {
                Points(plot, $"{name}: failed", failed.Select(at => at.Place), failed.Select(_ => isDouble ? 1.0 : 1.5), colour, MarkerShape.Eks);
            }
            var line = plot.Add.HorizontalLine(Math.Log10(goal), 2, colour, LinePattern.Dashed);
            line.LegendText = $"goal of {name}";
        }
        Plots.LogarithmicLeft(plot);
        plot.Axes.SetLimits(-5, places.Count + 5, -19, 3);
        plot.ShowLegend(Alignment.LowerRight, Orientation.Horizontal);
        (string file, string relative) = folder.PlotPath("errors.png");
        Plots.Save(plot, file);
        return relative;
    }

    private static void Points(
        Plot plot, string name, IEnumerable<int> places, IEnumerable<double> values, Color colour, MarkerShape shape)
    {
        var points = plot.Add.ScatterPoints(places.Select(place => (double)place).ToArray(), values.ToArray(), colour);
        points.MarkerShape = shape;
        points.MarkerSize = 7;
        points.LegendText = name;
    }
}
