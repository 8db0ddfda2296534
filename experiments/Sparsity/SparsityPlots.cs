using LsmrTorch.Experiments.Running;
using ScottPlot;
using Color = ScottPlot.Color;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>The run at a glance: accuracy over epochs, accuracy at the end, the constraint, what is left of the weights.</summary>
internal static class SparsityPlots
{
    private static readonly string[] s_networks = ["ours", "gradual", "oneshot", "dense_longer"];

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(SparsitySizes sizes, SparsityState state, IReadOnlyList<Finish> finishes, RunFolder folder)
    {
        var paths = new List<string>();
        Keep("accuracy-over-epochs.png", Epochs(sizes, state));
        Keep("accuracy-at-the-end.png", Bars(state, finishes));
        Keep("constraint.png", Constraint(state));
        Keep("weights.png", Weights(finishes));
        return paths;

        void Keep(string name, Plot plot)
        {
            (string file, string relative) = folder.PlotPath(name);
            Plots.Save(plot, file);
            paths.Add(relative);
        }
    }

    private static Plot Epochs(SparsitySizes sizes, SparsityState state)
    {
        Plot plot = Plots.New("Test accuracy while training", "epoch", "test accuracy in %");
        EpochRecord[] dense = [.. state.Epochs.Where(record => record.Phase == SparsityState.Dense)];
        Plots.Line(plot, "dense", [.. dense.Select(record => (double)record.Epoch)],
            [.. dense.Select(record => 100 * record.TestAccuracy)], Plots.Colours[6]);
        foreach (string network in s_networks) {
            EpochRecord[] records = [.. state.Epochs.Where(record => record.Phase == SparsityState.Further && record.Network == network)];
            Plots.Line(plot, Shown(network),
                [sizes.DenseEpochs, .. records.Select(record => (double)(sizes.DenseEpochs + record.Epoch))],
                [100 * state.DenseAccuracy!.Value, .. records.Select(record => 100 * record.TestAccuracy)], Colour(network));
        }
        plot.ShowLegend(Alignment.LowerRight);
        return plot;
    }

    private static Plot Bars(SparsityState state, IReadOnlyList<Finish> finishes)
    {
        Plot plot = Plots.New("Test accuracy at the end, and how many weights are exactly zero", "", "test accuracy in %");
        var bars = new List<Bar> { Bar(0, state.DenseAccuracy!.Value, 0, Plots.Colours[6]) };
        var ticks = new List<Tick> { new(0, "dense") };
        foreach (string network in s_networks.Reverse()) {
            Finish finish = finishes.Single(candidate => candidate.Network == network);
            ticks.Add(new Tick(bars.Count, Shown(network)));
            bars.Add(Bar(bars.Count, finish.Accuracy, finish.Sparsity, Colour(network)));
        }
        var drawn = plot.Add.Bars(bars);
        drawn.ValueLabelStyle.FontSize = 17;
        plot.Axes.Bottom.SetTicks([.. ticks.Select(tick => tick.Position)], [.. ticks.Select(tick => tick.Label)]);
        plot.Axes.SetLimitsY(0, Math.Min(110, 120 * bars.Max(bar => bar.Value) / 100));
        return plot;

        static Bar Bar(int position, double accuracy, double zeros, Color colour) => new() {
            Position = position,
            Value = 100 * accuracy,
            FillColor = colour,
            Label = $"{100 * accuracy:F1} %\n{zeros:P0} zero",
        };
    }

    private static Plot Constraint(SparsityState state)
    {
        const double floor = 1e-10; // a constraint of exactly zero has no logarithm
        Plot plot = Plots.New("The constraint of ours: weights that are to vanish", "step", "root mean square of the chosen weights");
        double[] steps = [.. state.Constraint.Select(record => (double)record.Step)];
        Plots.Line(plot, "before the step", steps, Logarithms(record => record.Norm), Plots.Colours[0]);
        Plots.Line(plot, "predicted after it", steps, Logarithms(record => record.Predicted), Plots.Colours[1], 2, LinePattern.Dashed);
        Plots.LogarithmicLeft(plot);

        var share = plot.Add.ScatterLine(steps, [.. state.Constraint.Select(record => 100 * record.Share)], Plots.Colours[2]);
        share.LineWidth = 2;
        share.LegendText = "share of the weights chosen (right)";
        share.Axes.YAxis = plot.Axes.Right;
        plot.Axes.Right.Label.Text = "share chosen in %";
        plot.Axes.Right.Label.FontSize = 20;
        plot.Axes.Right.TickLabelStyle.FontSize = 16;
        plot.ShowLegend(Alignment.LowerLeft);
        return plot;

        double[] Logarithms(Func<ConstraintRecord, double> value) =>
            [.. state.Constraint.Select(record => Math.Log10(Math.Max(floor, value(record))))];
    }

    private static Plot Weights(IReadOnlyList<Finish> finishes)
    {
        const int bins = 60;
        Plot plot = Plots.New("Weights that are not zero at the end", "magnitude", "number of weights");
        double largest = Quantile(finishes.SelectMany(finish => finish.Weights).Select(Math.Abs), 0.999);
        foreach (string network in s_networks) {
            var counts = new double[bins];
            foreach (float weight in finishes.Single(finish => finish.Network == network).Weights.Where(weight => weight != 0)) {
                counts[Math.Min(bins - 1, (int)(bins * Math.Abs(weight) / largest))]++;
            }
            double[] centres = [.. Enumerable.Range(0, bins).Select(bin => largest * (bin + 0.5) / bins)];
            Plots.Line(plot, Shown(network), centres, [.. counts.Select(count => Math.Log10(Math.Max(1, count)))], Colour(network));
        }
        Plots.LogarithmicLeft(plot);
        plot.ShowLegend(Alignment.UpperRight);
        return plot;
    }

    private static double Quantile(IEnumerable<float> values, double share)
    {
        float[] sorted = [.. values.Order()];
        return Math.Max(1e-6, sorted[(int)(share * (sorted.Length - 1))]);
    }

    private static Color Colour(string network) => Plots.Colours[Array.IndexOf(s_networks, network)];

    private static string Shown(string network) => network.Replace('_', ' ');
}
