using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.FineTune;

/// <summary>Half of the weights of a network for ImageNet.</summary>
internal sealed class FineTuneExperiment() : TrainingExperiment<FineTuneSizes>("imagenet", "Fine-tune Swin-S on ImageNet while half of its weights go, beside the same steps without a constraint.")
{
    private const string Weights = "swin_s.dat";

    /// <inheritdoc/>
    protected override FineTuneSizes SizesOf(RunSettings settings) => FineTuneSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(FineTuneSizes sizes, RunContext context)
    {
        string root = context.Settings.Data
            ?? throw new ExperimentException($"imagenet needs --data DIR with a folder for each class in DIR/train and DIR/val, and DIR/{Weights} for weights to start from.");
        bool hasTraining = Directory.Exists(Path.Combine(root, "train"));
        ImageFolder test = ImageFolder.Open(root, "val"), training = hasTraining ? ImageFolder.Open(root, "train") : test;
        string weights = Path.Combine(root, Weights);
        bool isPretrained = sizes.IsSwinS && File.Exists(weights);
        using var run = new FineTuneRun(sizes, context, training, test, isPretrained ? weights : null);
        FineTuneState state = run.Run();
        string[] notes = [
            isPretrained ? $"Started from {Weights}." : $"Started from random weights, since there is no {Weights} for this network beside the images: no accuracy is claimed.",
            hasTraining ? $"{training.Images.Count} training and {test.Images.Count} test images." : $"There is no DIR/train: trained and tested on the same {test.Images.Count} images of DIR/val, so that no accuracy is claimed.",
        ];
        return FineTuneReport.Of(sizes, state, notes, context.Folder);
    }
}
