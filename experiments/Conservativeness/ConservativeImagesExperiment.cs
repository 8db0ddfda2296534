using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>The same for images and a U-Net.</summary>
internal sealed class ConservativeImagesExperiment() : TrainingExperiment<ConservativenessSizes>(
    "conservativeness-images", "Train score models of images under S = Sᵀ, and see whether they are gradients.")
{
    private const int GeneratedImages = 2000;

    /// <inheritdoc/>
    protected override ConservativenessSizes SizesOf(RunSettings settings) => ConservativenessSizes.ForImages(settings.Preset,
        settings.Data is not string folder ? "generated" : FolderImages.IsAt(folder) ? "imagenet" : "cifar10");

    /// <inheritdoc/>
    protected override Summary Train(ConservativenessSizes sizes, RunContext context)
    {
        ScoreImages images = Images(sizes.Images!.Side, context);
        ConservativenessState state = new ConservativenessRun(sizes, context, (set, seed) => new ImageTask(set, images, sizes, seed, context.Device)).Run();
        return ConservativenessReport.Of(sizes, state, context.Folder);
    }

    private static ScoreImages Images(int side, RunContext context)
    {
        if (context.Settings.Data is string root && FolderImages.IsAt(root)) {
            return FolderImages.Read(root, side, context.Console);
        }
        using Cifar10 data = context.Settings.Data is string folder
            ? Cifar10.Load(folder)
            : Cifar10Generator.Generate(GeneratedImages, GeneratedImages / 4, Seeds.Derive(context.Settings.Seed, "images"));
        return new ScoreImages(data.TrainImages, data.TestImages, side);
    }
}
