using LsmrTorch.Datasets;
using ScottPlot;

namespace LsmrTorch.Experiments.Running;

/// <summary>One look for all plots: a size that is read without zooming, colours that a colour-blind reader tells apart.</summary>
internal static class Plots
{
    private const int Width = 1200;
    private const int Height = 720;

    /// <summary>Colours after Okabe and Ito (2008); the first is for ours.</summary>
    public static IReadOnlyList<Color> Colours { get; } = [
        Color.FromHex("#D55E00"), Color.FromHex("#0072B2"), Color.FromHex("#009E73"), Color.FromHex("#CC79A7"),
        Color.FromHex("#E69F00"), Color.FromHex("#56B4E9"), Color.FromHex("#000000"),
    ];

    /// <summary>An empty plot with its labels.</summary>
    public static Plot New(string title, string x, string y)
    {
        var plot = new Plot();
        plot.Title(title, 24);
        plot.XLabel(x, 20);
        plot.YLabel(y, 20);
        plot.Axes.Bottom.TickLabelStyle.FontSize = 16;
        plot.Axes.Left.TickLabelStyle.FontSize = 16;
        plot.Legend.FontSize = 17;
        plot.ScaleFactor = 1;
        return plot;
    }

    /// <summary>A line with its name in the legend.</summary>
    public static void Line(
        Plot plot, string name, double[] x, double[] y, Color colour, float width = 3, LinePattern? pattern = null)
    {
        var line = plot.Add.ScatterLine(x, y, colour);
        line.LineWidth = width;
        line.LinePattern = pattern ?? LinePattern.Solid;
        line.LegendText = name;
    }

    /// <summary>Labels the left axis by powers of ten, for values that are given as their logarithms.</summary>
    public static void LogarithmicLeft(Plot plot)
    {
        plot.Axes.Left.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic {
            IntegerTicksOnly = true,
            LabelFormatter = exponent => $"1e{exponent:F0}",
        };
    }

    /// <summary>Writes a PNG.</summary>
    public static void Save(Plot plot, string path) =>
        AtomicFile.Write(path, stream => stream.Write(plot.GetImageBytes(Width, Height, ImageFormat.Png)));
}
