using LsmrTorch.Experiments.Running;
using ScottPlot;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>Of each problem and optimizer, the size of c and the loss against the steps, a line for each order: over several seeds the mean of the logarithms.</summary>
internal static class OrderPlots
{
    private const double Floor = 1e-16; // a c of exactly zero has no logarithm

    /// <summary>Draws all plots and returns their paths in the run's folder.</summary>
    public static IReadOnlyList<string> Draw(OrderSizes sizes, OrderState state, RunFolder folder)
    {
        var paths = new List<string>();
        foreach (ProblemSizes problem in sizes.Problems) {
            foreach (var lane in state.Records.Where(record => record.Problem == problem.Name).GroupBy(record => record.Optimizer)) {
                (string file, string relative) = folder.PlotPath($"{problem.Name}-{lane.Key.Replace('_', '-')}.png");
                Plots.Save(OverSteps(problem, lane.Key, [.. lane]), file);
                paths.Add(relative);
            }
        }
        return paths;
    }

    private static Plot OverSteps(ProblemSizes problem, string optimizer, OrderRecord[] records)
    {
        bool hasGap = records[0].OtherName == "gap";
        string height = hasGap ? "loss over the least possible, less 1" : "loss";
        Plot plot = Plots.New($"{problem.Name}, {optimizer}: size of c (solid) and {height} (dotted)", "step", "");
        int colour = 0;
        foreach (string order in new[] { "step", "gradient", "metric", "none" }) {
            IGrouping<int, OrderRecord>[] line = [.. records.Where(record => record.Order == order).GroupBy(record => record.Step)];
            double[] steps = [.. line.Select(seeds => (double)seeds.Key)];
            Plots.Line(plot, order, steps, [.. line.Select(seeds => seeds.Average(record => Logarithm(record.Constraint)))], Plots.Colours[colour]);
            if (!hasGap || order != "none") { // without constraint the loss is below the least possible with it
                Plots.Line(plot, "", steps, [.. line.Select(seeds => seeds.Average(record => Logarithm(hasGap ? record.Other ?? 0 : record.Loss)))],
                    Plots.Colours[colour], 2, LinePattern.Dotted);
            }
            colour++;
        }
        plot.Add.VerticalLine(problem.WarmUpSteps, 2, Plots.Colours[6].WithAlpha(0.5), LinePattern.Dashed);
        Plots.LogarithmicLeft(plot);
        plot.ShowLegend(Alignment.UpperRight);
        return plot;
    }

    private static double Logarithm(double value) => Math.Log10(Math.Max(Floor, Math.Abs(value)));
}
