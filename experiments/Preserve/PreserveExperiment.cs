using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Preserve;

/// <summary>Learning new images without forgetting old ones.</summary>
internal sealed class PreserveExperiment()
    : TrainingExperiment<PreserveSizes>("preserve", "Fine-tune a ResNet on new images while the logits of protected old ones stay as they were.")
{
    /// <inheritdoc/>
    protected override PreserveSizes SizesOf(RunSettings settings) => PreserveSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(PreserveSizes sizes, RunContext context)
    {
        using Cifar10 images = context.Settings.Data is string folder
            ? Cifar10.Load(folder)
            : Cifar10Generator.Generate(sizes.Training.TrainImages, sizes.Training.TestImages, Seeds.Derive(context.Settings.Seed, "images"));
        PreserveState state = new PreserveRun(sizes, context, images).Run();
        return PreserveReport.Of(sizes, context.Settings.Data is null ? "generated" : "cifar10", state, context.Folder);
    }
}
