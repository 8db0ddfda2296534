using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>Asymmetry over the noise and over the steps, and points drawn from the scores.</summary>
internal static class ConservativenessPlots
{
    private const double Floor = 1e-10; // an asymmetry of exactly zero has no logarithm
    private const double Side = 5.4; // from one cloud of points to the next

    /// <summary>Draws what comes from the state, and returns the paths of all plots in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(ConservativenessSizes sizes, ConservativenessState state, RunFolder folder)
    {
        var paths = new List<string>();
        foreach (string density in sizes.Densities) {
            Keep($"noise-{density}.png", OverNoise(sizes, state, density));
            Keep($"steps-{density}.png", OverSteps(sizes, state, density));
            paths.Add(folder.PlotPath(SamplesName(density)).Relative);
        }
        return paths;

        void Keep(string name, Plot plot)
        {
            (string file, string relative) = folder.PlotPath(name);
            Plots.Save(plot, file);
            paths.Add(relative);
        }
    }

    /// <summary>Draws points of the density and of the three networks' scores, side by side.</summary>
    public static void Samples(ConservativenessSizes sizes, ConservativenessState state, FieldRun field, RunFolder folder)
    {
        Dictionary<string, float[]> samples = field.Samples();
        if (sizes.Images is ImageSizes images) {
            ImageGrid.Save(folder.PlotPath(SamplesName(field.Density)).File, images.Side,
                [samples["density"], .. Networks(state, field.Density).Select(network => samples[network.Network])]);
            return;
        }
        Plot plot = Plots.New($"{field.Density}: the density, and points drawn from the scores by the probability flow", "", "");
        int place = 0;
        foreach ((string network, string name, Color colour) in Networks(state, field.Density).Prepend(("density", "the density", Plots.Colours[6]))) {
            double shift = Side * place++;
            float[] points = samples[network];
            double[] x = [.. points.Where((_, i) => i % 2 == 0).Select(value => value + shift)], y = [.. points.Where((_, i) => i % 2 == 1).Select(value => (double)value)];
            var cloud = plot.Add.ScatterPoints(x, y, colour.WithAlpha(0.5));
            cloud.MarkerSize = 3;
            var label = plot.Add.Text(name, shift, 3.3);
            label.LabelFontSize = 20;
            label.LabelFontColor = colour;
            label.LabelAlignment = Alignment.MiddleCenter;
        }
        plot.HideGrid();
        plot.HideAxesAndGrid();
        plot.Axes.SetLimits(-0.5 * Side, (place - 0.5) * Side, -3, 3.8);
        plot.Axes.SquareUnits();
        Plots.Save(plot, folder.PlotPath(SamplesName(field.Density)).File);
    }

    private static string SamplesName(string density) => $"samples-{density}.png";

    private static Plot OverNoise(ConservativenessSizes sizes, ConservativenessState state, string density)
    {
        Plot plot = Plots.New($"{density}: how far S is from symmetric, at each noise level", "log₁₀ σ", "½(tr SSᵀ − tr SS)/tr SSᵀ");
        double[] levels = [.. sizes.TestLevels.Select(Math.Log10)];
        foreach ((string network, string name, Color colour) in Networks(state, density)) {
            double[][] seeds = [.. state.Ends.Where(end => end.Density == density && end.Network == network).Select(end => end.Asymmetries)];
            Plots.Line(plot, name, levels, [.. levels.Select((_, i) => Logarithm(seeds.Average(seed => seed[i])))], colour);
        }
        Plots.LogarithmicLeft(plot);
        plot.ShowLegend(Alignment.UpperRight);
        return plot;
    }

    private static Plot OverSteps(ConservativenessSizes sizes, ConservativenessState state, string density)
    {
        Plot plot = Plots.New($"{density}: asymmetry while training, first seed", "step", "½(tr SSᵀ − tr SS)/tr SSᵀ");
        foreach ((string network, string name, Color colour) in Networks(state, density)) {
            FieldRecord[] records = [.. state.Records.Where(at => at.Density == density && at.Seed == 0 && at.Network == network)];
            Plots.Line(plot, name, [.. records.Select(at => (double)at.Step)], [.. records.Select(at => Logarithm(at.Asymmetry))], colour);
        }
        var start = plot.Add.VerticalLine(sizes.WarmUpSteps, 2, Plots.Colours[6].WithAlpha(0.5), LinePattern.Dashed);
        start.LegendText = "the constraint begins";
        Plots.LogarithmicLeft(plot);
        plot.ShowLegend(Alignment.LowerLeft);
        return plot;
    }

    // Plain, the best penalty so far and ours, with their names and colours.
    private static IEnumerable<(string Network, string Name, Color Colour)> Networks(ConservativenessState state, string density) => [
        ("plain", "plain", Plots.Colours[1]), (PenaltyChoice.Best(state.Ends, density), "penalty (best λ)", Plots.Colours[2]), ("ours", "ours", Plots.Colours[0]),
    ];

    private static double Logarithm(double value) => Math.Log10(Math.Max(Floor, value));
}
