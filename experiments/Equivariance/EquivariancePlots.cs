using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>Accuracy on transformed images and the equivariance error, against time, of the first seed.</summary>
internal static class EquivariancePlots
{
    private const double Floor = 1e-10;     // an error of exactly zero has no logarithm

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(EquivarianceState state, string penalty, RunFolder folder)
    {
        var paths = new List<string>();
        Plot accuracy = Plots.New("Test images under random symmetries", "seconds of training", "share that is right");
        Plot error = Plots.New("How far f(gx) is from f(x)", "seconds of training", "‖f(gx) − f(x)‖ / ‖f(x)‖");
        string[] networks = [.. state.Epochs.Select(record => record.Network).Distinct()
            .Where(network => !network.StartsWith("penalty", StringComparison.Ordinal) || network == penalty)];
        foreach (string network in networks) {
            (Color colour, LinePattern pattern) = Look(network);
            EpochRecord[] records = [.. state.Epochs.Where(record => record.Seed == 0 && record.Network == network)];
            double[] seconds = [.. state.Seconds[network]];
            Plots.Line(accuracy, network, seconds, [.. records.Select(record => record.TransformedAccuracy)], colour, pattern: pattern);
            Plots.Line(error, network, seconds, [.. records.Select(record => Math.Log10(Math.Max(Floor, record.EquivarianceError)))], colour, pattern: pattern);
        }
        Plots.LogarithmicLeft(error);
        Keep("accuracy.png", accuracy);
        Keep("equivariance-error.png", error);
        return paths;

        void Keep(string name, Plot plot)
        {
            plot.ShowLegend(Alignment.LowerRight);
            (string file, string relative) = folder.PlotPath(name);
            Plots.Save(plot, file);
            paths.Add(relative);
        }
    }

    private static (Color, LinePattern) Look(string network)
    {
        LinePattern pattern = network switch { "augmentation_wide" or "w_wide" or "f_augmentation" => LinePattern.Dashed, "f_trained" or "augmentation_equal_time" => LinePattern.Dotted, "f_each" => LinePattern.DenselyDashed, _ => LinePattern.Solid };
        int colour = network.Split('_')[0] switch { "w" => 0, "augmentation" => 1, "penalty" => 2, "f" => 4, _ => 6 };
        return (Plots.Colours[colour], pattern);
    }
}
