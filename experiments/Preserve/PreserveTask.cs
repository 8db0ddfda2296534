using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Preserve;

/// <summary>
/// Old images that a network was trained on and new ones that it is to learn: "classes", the last five after the first five, each five among themselves, or
/// "turned", all classes in images turned by a quarter. All are normalised as the old training images are.
/// </summary>
internal sealed class PreserveTask : IDisposable
{
    private const int Half = 5; // of the classes

    public PreserveTask(string name, Cifar10 images, PreserveSizes sizes, long splitSeed, long seed, Device device)
    {
        using var scope = NewDisposeScope();
        int count = (int)images.TrainImages.size(0);
        if (count <= sizes.Tuning) {
            throw new ExperimentException($"Of {count} training images {sizes.Tuning} are held out, which leaves none.");
        }
        int[] order = [.. Enumerable.Range(0, count)];
        Seeds.Managed(splitSeed, "held out").Shuffle(order);
        (Tensor, Tensor) tuning = Rows(order.Take(sizes.Tuning)), train = Rows(order.Skip(sizes.Tuning)), test = (images.TestImages, images.TestLabels);
        bool byClass = name == "classes";
        (OldOutputs, NewOutputs) = byClass ? (new Outputs(0, Half), new Outputs(Half, Half)) : (new Outputs(0, 2 * Half), new Outputs(0, 2 * Half));
        (Tensor Images, Tensor) old = OldOf(train);
        Old = Batches(old, OldOf(test), sizes.Training.BatchSize);
        Guarded = Batches(old, OldOf(tuning), sizes.Protected);
        New = Batches(NewOf(train), NewOf(test), sizes.NewImages);
        NewTuning = Batches(NewOf(train), NewOf(tuning), sizes.NewImages);

        (Tensor, Tensor) Rows(IEnumerable<int> rows)
        {
            Tensor places = tensor([.. rows.Select(i => (long)i)]);
            return (images.TrainImages.index_select(0, places), images.TrainLabels.index_select(0, places));
        }

        ImageBatches Batches((Tensor, Tensor) trained, (Tensor, Tensor) tested, int batchSize) => new(trained, tested, batchSize, seed, device, old.Images);

        (Tensor, Tensor) OldOf((Tensor Images, Tensor Labels) all) => byClass ? Chosen(all, Places(all.Labels, label => label < Half)) : all;

        (Tensor, Tensor) NewOf((Tensor Images, Tensor Labels) all) =>
            byClass ? Chosen(all, Places(all.Labels, label => label >= Half)) : (all.Images.rot90(1, (2, 3)).contiguous(), all.Labels);

        static long[] Places(Tensor labels, Func<long, bool> isChosen) =>
            [.. labels.data<long>().ToArray().Select((label, at) => (label, at)).Where(pair => isChosen(pair.label)).Select(pair => (long)pair.at)];

        static (Tensor, Tensor) Chosen((Tensor Images, Tensor Labels) all, long[] rows)
        {
            Tensor places = tensor(rows);
            return (all.Images.index_select(0, places), all.Labels.index_select(0, places));
        }
    }

    /// <summary>What old images are classified among, and what is protected of them.</summary>
    public Outputs OldOutputs { get; }

    /// <summary>What new images are classified among.</summary>
    public Outputs NewOutputs { get; }

    /// <summary>Old training images in the batches of the first training, and old test images.</summary>
    public ImageBatches Old { get; }

    /// <summary>Old training images in the batches that are protected, and old images for tuning.</summary>
    public ImageBatches Guarded { get; }

    /// <summary>New training and test images.</summary>
    public ImageBatches New { get; }

    /// <summary>The same training images, and new ones for tuning.</summary>
    public ImageBatches NewTuning { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Old.Dispose();
        Guarded.Dispose();
        New.Dispose();
        NewTuning.Dispose();
    }
}
