using LsmrTorch.Experiments.Running;
using ScottPlot;
using TorchSharp;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>Error against condition, tolerance and noise, both axes logarithmic.</summary>
internal static class ConditioningPlots
{
    private const double Floor = 1e-17; // an error of exactly zero has no logarithm
    private const double Ceiling = 1e3; // above that all is lost, and the rest of the plot is to be read

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(ConditioningSizes sizes, Median[] medians, Lane[] lanes, RunFolder folder)
    {
        var paths = new List<string>();
        string cond = $"cond(A) = {sizes.SweepCond:0e+0}";
        Keep("condition.png", Plots.New("Error of the gradients against the condition of A", "cond(A)", "relative error"), Sweep.Cond);
        Plot tolerance = Plots.New($"Error of the gradients against the tolerance, {cond}", "tolerance of solve and gradient", "relative error");
        Lane plain = lanes[0];
        Add(tolerance, Sweep.ForwardTolerance, plain, $"{plain}: forward alone", Plots.Colours[6], LinePattern.Dotted);
        Add(tolerance, Sweep.BackwardTolerance, plain, $"{plain}: backward alone", Plots.Colours[6], LinePattern.DenselyDashed);
        Keep("tolerance.png", tolerance, Sweep.Tolerance);
        Keep("noise.png", Plots.New($"Error of the gradients against noise in the products, {cond}", "noise, relative to each product",
            "relative error"), Sweep.Noise);
        return paths;

        void Keep(string name, Plot plot, Sweep sweep)
        {
            for (int i = 0; i < lanes.Length; i++) {
                LinePattern pattern = lanes[i].Dtype == torch.ScalarType.Float64 ? LinePattern.Solid : LinePattern.Dashed;
                Add(plot, sweep, lanes[i], lanes[i].ToString(), Plots.Colours[i % 6], pattern);
            }
            Plots.LogarithmicLeft(plot);
            plot.Axes.Bottom.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic {
                IntegerTicksOnly = true,
                LabelFormatter = exponent => $"1e{exponent:F0}",
            };
            plot.ShowLegend(Alignment.UpperLeft);
            (string file, string relative) = folder.PlotPath(name);
            Plots.Save(plot, file);
            paths.Add(relative);
        }

        void Add(Plot plot, Sweep sweep, Lane lane, string name, Color colour, LinePattern pattern)
        {
            Median[] own = [.. medians.Where(at => at.Sweep == sweep && at.Lane == lane && double.IsFinite(at.Error)).OrderBy(at => at.Value)];
            Plots.Line(plot, name, [.. own.Select(at => Math.Log10(at.Value))],
                [.. own.Select(at => Math.Log10(Math.Clamp(at.Error, Floor, Ceiling)))], colour, lane.Damp == 0 ? 6 : 3, pattern); // where they coincide, both are seen
        }
    }
}
