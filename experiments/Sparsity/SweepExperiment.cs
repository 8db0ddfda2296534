using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>Accuracy against sparsity, over seeds, beside all baselines.</summary>
internal sealed class SweepExperiment()
    : TrainingExperiment<SweepSizes>("sparsity-sweep", "Accuracy against sparsity on CIFAR-10, over several seeds, beside magnitude pruning and an l1 penalty.")
{
    /// <inheritdoc/>
    protected override SweepSizes SizesOf(RunSettings settings) => SweepSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(SweepSizes sizes, RunContext context)
    {
        using Cifar10 images = context.Settings.Data is string folder
            ? Cifar10.Load(folder)
            : Cifar10Generator.Generate(sizes.Training.TrainImages, sizes.Training.TestImages, Seeds.Derive(context.Settings.Seed, "images"));
        var run = new SweepRun(sizes, context, images);
        SweepState state = run.Run();
        return SweepReport.Of(sizes, context.Settings.Data is null ? "generated" : "cifar10", run, state, context.Folder);
    }
}
