using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>When do the gradients break? And what does a sketched preconditioner make of a tall dense matrix?</summary>
internal sealed class ConditioningExperiment() : TrainingExperiment<ConditioningSizes>(
    "conditioning", "Gradient error against the condition of A, the tolerances, and noise in the products; a tall dense solve beside lstsq.")
{
    /// <inheritdoc/>
    protected override ConditioningSizes SizesOf(RunSettings settings) => ConditioningSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(ConditioningSizes sizes, RunContext context)
    {
        int threads = torch.get_num_threads();
        if (context.Settings.Threads is null) {
            torch.set_num_threads(1); // matrices of a few kilobytes
        }
        _ = context.Begin();
        Point[] points = [.. Points(sizes)];
        var progress = new ProgressLine(context.Console, points.Length);
        var results = new List<PointResult>();
        foreach (Point point in points) {
            context.Console.Stop.ThrowIfCancellationRequested();
            PointResult result = PointSolve.Run(point, sizes, context.Settings.Seed, context.Device);
            results.Add(result);
            context.Folder.WriteMetric("point", PointMetric.Of(result));
            progress.Report(results.Count, $"point {results.Count}/{points.Length}, {point.Sweep}");
        }
        progress.Clear();
        return ConditioningReport.Of(sizes, results, Tall(sizes, threads, context), context.Folder);
    }

    // On all threads that the run was given: this matrix is large.
    private static TallResult Tall(ConditioningSizes sizes, int threads, RunContext context)
    {
        context.Console.Stop.ThrowIfCancellationRequested();
        context.Console.Out.WriteLine($"A dense {sizes.TallRows} x {sizes.TallColumns} matrix beside torch.linalg.lstsq");
        torch.set_num_threads(threads);
        TallResult tall = TallTiming.Run(sizes.TallRows, sizes.TallColumns, context.Settings.Seed, context.Device);
        foreach (TallRound round in tall.Rounds) {
            context.Folder.WriteMetric("tall", round);
        }
        return tall;
    }

    private static IEnumerable<Point> Points(ConditioningSizes sizes) =>
        from sweep in Enum.GetValues<Sweep>()
        from value in sweep switch { Sweep.Cond => sizes.Conds, Sweep.Noise => sizes.Noises, _ => sizes.Tolerances }
        from variant in Variant.All
        from dtype in new[] { torch.ScalarType.Float64, torch.ScalarType.Float32 }
        from damp in sizes.Damps
        from seed in Enumerable.Range(0, sizes.Seeds)
        select new Point(sweep, new Lane(variant.Name, dtype, damp), value, seed);
}
