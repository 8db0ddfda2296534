using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>Error against condition, tolerance and noise, a plot a float type, both axes logarithmic: a colour a variant, a pattern a λ.</summary>
internal static class ConditioningPlots
{
    private const double Floor = 1e-17; // an error of exactly zero has no logarithm
    private const double Ceiling = 1e3; // above that all is lost, and the rest of the plot is to be read
    private static readonly LinePattern[] s_patterns = [LinePattern.Solid, LinePattern.Dashed, LinePattern.Dotted];

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(ConditioningSizes sizes, Median[] medians, Lane[] lanes, RunFolder folder)
    {
        var paths = new List<string>();
        string cond = $"cond(A) = {sizes.SweepCond:0e+0}";
        foreach (Lane[] ofType in lanes.GroupBy(lane => lane.DtypeName).Select(group => group.ToArray())) {
            string dtype = ofType[0].DtypeName;
            Keep($"condition_{dtype}.png", Plots.New($"Error of the gradients against the condition of A, {dtype}", "cond(A)", "relative error"), Sweep.Cond, ofType);
            Plot tolerance = Plots.New($"Error of the gradients against the tolerance, {dtype}, {cond}", "tolerance of solve and gradient", "relative error");
            Lane plain = ofType[0];
            Add(tolerance, Sweep.ForwardTolerance, plain, $"{Name(plain)}: forward alone", Plots.Colours[6], 3, LinePattern.Dotted);
            Add(tolerance, Sweep.BackwardTolerance, plain, $"{Name(plain)}: backward alone", Plots.Colours[6], 3, LinePattern.DenselyDashed);
            Keep($"tolerance_{dtype}.png", tolerance, Sweep.Tolerance, ofType);
            Keep($"noise_{dtype}.png", Plots.New($"Error of the gradients against noise in the products, {dtype}, {cond}", "noise, relative to each product",
                "relative error"), Sweep.Noise, ofType);
        }
        return paths;

        void Keep(string name, Plot plot, Sweep sweep, Lane[] drawn)
        {
            string[] variants = [.. drawn.Select(lane => lane.Variant).Distinct()];
            double[] damps = [.. drawn.Select(lane => lane.Damp).Distinct()];
            foreach (Lane lane in drawn) {
                int variant = Array.IndexOf(variants, lane.Variant);
                float width = 2 + (2.5f * (variants.Length - 1 - variant)); // where they coincide, all are seen
                Add(plot, sweep, lane, Name(lane), Plots.Colours[variant % 6], width, s_patterns[Array.IndexOf(damps, lane.Damp) % s_patterns.Length]);
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

        void Add(Plot plot, Sweep sweep, Lane lane, string name, Color colour, float width, LinePattern pattern)
        {
            Median[] own = [.. medians.Where(at => at.Sweep == sweep && at.Lane == lane && double.IsFinite(at.Error)).OrderBy(at => at.Value)];
            Plots.Line(plot, name, [.. own.Select(at => Math.Log10(at.Value))],
                [.. own.Select(at => Math.Log10(Math.Clamp(at.Error, Floor, Ceiling)))], colour, width, pattern);
        }
    }

    private static string Name(Lane lane) => $"{lane.Variant}, λ = {lane.Damp}";
}
