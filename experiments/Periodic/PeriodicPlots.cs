using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>The run at a glance: what the networks say on [−3π, 3π], and how they came there.</summary>
internal static class PeriodicPlots
{
    private const double Floor = 1e-10; // an error of exactly zero has no logarithm

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(
        PeriodicSizes sizes, PeriodicState state, PeriodicCurves curves, string penalty, RunFolder folder)
    {
        var paths = new List<string>();
        Keep("curves.png", Curves(curves, penalty));
        Keep("over-steps.png", OverSteps(sizes, state, penalty));
        return paths;

        void Keep(string name, Plot plot)
        {
            (string file, string relative) = folder.PlotPath(name);
            Plots.Save(plot, file);
            paths.Add(relative);
        }
    }

    private static Plot Curves(PeriodicCurves curves, string penalty)
    {
        Plot plot = Plots.New("sin, learnt from [-π, π] alone and under f(x + 2π) = f(x)", "x", "f(x)");
        var seen = plot.Add.HorizontalSpan(-PeriodicTask.TrainingEnd, PeriodicTask.TrainingEnd);
        seen.FillColor = Plots.Colours[4].WithAlpha(0.18);
        seen.LineWidth = 0;
        seen.LegendText = "training interval";
        double[] x = curves.Inputs;
        Plots.Line(plot, "sin", x, [.. x.Select(Math.Sin)], Plots.Colours[6].WithAlpha(0.35), 12);
        Plots.Line(plot, "plain", x, curves.Values["plain"], Plots.Colours[1], 3);
        Plots.Line(plot, "penalty (best λ)", x, curves.Values[penalty], Plots.Colours[2], 3);
        Plots.Line(plot, "ours", x, curves.Values["ours"], Plots.Colours[0], 3, LinePattern.Dashed);
        double[] drawn = [.. curves.Values["plain"], .. curves.Values[penalty], .. curves.Values["ours"]];
        plot.Axes.SetLimits(-PeriodicTask.End, PeriodicTask.End, Math.Max(-4, Math.Min(-1.3, drawn.Min() - 0.2)),
            Math.Min(5, Math.Max(1.3, drawn.Max() + 0.2) + 0.7));
        plot.Axes.Bottom.SetTicks([.. Enumerable.Range(-3, 7).Select(i => i * Math.PI)], ["-3π", "-2π", "-π", "0", "π", "2π", "3π"]);
        plot.ShowLegend(Alignment.UpperCenter, Orientation.Horizontal);
        return plot;
    }

    private static Plot OverSteps(PeriodicSizes sizes, PeriodicState state, string penalty)
    {
        Plot plot = Plots.New("Error outside [-π, π] while training, and how far f is from periodic", "step", "root mean square");
        (string Network, string Name, Color Colour)[] networks = [
            ("plain", "plain", Plots.Colours[1]), (penalty, "penalty", Plots.Colours[2]), ("ours", "ours", Plots.Colours[0]),
        ];
        foreach ((string network, string name, Color colour) in networks) {
            StepRecord[] records = [.. state.Steps.Where(record => record.Network == network)];
            double[] steps = [.. records.Select(record => (double)record.Step)];
            Plots.Line(plot, $"{name}: error outside", steps, Logarithms(records, record => record.RmseOutside), colour);
            Plots.Line(plot, $"{name}: f(x + 2π) - f(x)", steps, Logarithms(records, record => record.ConstraintNorm), colour, 2, LinePattern.Dotted);
        }
        var start = plot.Add.VerticalLine(sizes.WarmUpSteps, 2, Plots.Colours[6].WithAlpha(0.5), LinePattern.Dashed);
        start.LegendText = "constraint and penalty begin";
        Plots.LogarithmicLeft(plot);
        plot.ShowLegend(Alignment.UpperRight);
        plot.Legend.Margin = new PixelPadding(12, 12, 12, 70); // below the line of plain
        return plot;
    }

    private static double[] Logarithms(StepRecord[] records, Func<StepRecord, double> value) =>
        [.. records.Select(record => Math.Log10(Math.Max(Floor, value(record))))];
}
