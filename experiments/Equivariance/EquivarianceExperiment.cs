using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>Can a network be made equivariant by a constraint?</summary>
internal sealed class EquivarianceExperiment()
    : TrainingExperiment<EquivarianceSizes>("equivariance", "Train networks on CIFAR-10 that answer the same however an image is turned and flipped.")
{
    /// <inheritdoc/>
    protected override EquivarianceSizes SizesOf(RunSettings settings) => EquivarianceSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(EquivarianceSizes sizes, RunContext context)
    {
        using Cifar10 images = context.Settings.Data is string folder
            ? Cifar10.Load(folder)
            : Cifar10Generator.Generate(sizes.TrainImages, sizes.TestImages, Seeds.Derive(context.Settings.Seed, "images"));
        EquivarianceState state = new EquivarianceRun(sizes, context, images).Run();
        string source = context.Settings.Data is null ? "generated" : "cifar10";
        return EquivarianceReport.Of(sizes, source, state, (int)images.TestImages.size(0), context.Folder);
    }
}
