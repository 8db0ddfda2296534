using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// Training images less those that are held out, with two sets to measure on: the test images and the held-out ones together, and those that the
/// penalty's weight is chosen by. The split is the same for all seeds of a run.
/// </summary>
internal sealed class SweepSplit : IDisposable
{
    public SweepSplit(Cifar10 images, SweepSizes sizes, long splitSeed, long seed, Device device)
    {
        int count = (int)images.TrainImages.size(0), rest = count - sizes.HeldOut - sizes.Tuning;
        if (rest < sizes.Training.BatchSize) {
            throw new ExperimentException($"Of {count} training images {sizes.HeldOut} and {sizes.Tuning} are held out, which leaves less than a batch of {sizes.Training.BatchSize}.");
        }
        using var scope = NewDisposeScope();
        int[] order = [.. Enumerable.Range(0, count)];
        Seeds.Managed(splitSeed, "held out").Shuffle(order);
        (Tensor Images, Tensor Labels) held = Chosen(0, sizes.HeldOut), tuning = Chosen(sizes.HeldOut, sizes.Tuning), train = Chosen(sizes.HeldOut + sizes.Tuning, rest);
        (Tensor, Tensor) test = (cat([images.TestImages, held.Images]), cat([images.TestLabels, held.Labels]));
        Tested = new ImageBatches(train, test, sizes.Training.BatchSize, seed, device);
        Tuned = new ImageBatches(train, tuning, sizes.Training.BatchSize, seed, device);

        (Tensor, Tensor) Chosen(int start, int length)
        {
            Tensor rows = tensor([.. order.Skip(start).Take(length).Select(i => (long)i)]);
            return (images.TrainImages.index_select(0, rows), images.TrainLabels.index_select(0, rows));
        }
    }

    /// <summary>What is trained on, and the images that accuracies are of.</summary>
    public ImageBatches Tested { get; }

    /// <summary>The same with the images for tuning as those that are tested on.</summary>
    public ImageBatches Tuned { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Tested.Dispose();
        Tuned.Dispose();
    }
}
