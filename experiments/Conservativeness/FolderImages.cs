using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>
/// ImageNet as points: the middle 32×32 of each photograph whose shorter side is made 32. Where there is no part for training, every fifth image of
/// the other is for the test and the rest for training.
/// </summary>
internal static class FolderImages
{
    // As many as CIFAR-10 has, evenly spread over the classes.
    private const int MostTraining = 50_000, MostTest = 10_000;
    private const int TestShare = 5;

    /// <summary>Whether the folder has a data set with a folder for each class.</summary>
    public static bool IsAt(string root) => Directory.Exists(Path.Combine(root, "val"));

    /// <summary>Decodes all images; a broken one is named and left out.</summary>
    /// <exception cref="DatasetException">A folder is missing or empty.</exception>
    /// <exception cref="ExperimentException">Too few images can be read.</exception>
    public static ScoreImages Read(string root, int side, RunConsole console)
    {
        using var scope = NewDisposeScope();
        ImageFolder val = ImageFolder.Open(root, "val");
        if (Directory.Exists(Path.Combine(root, "train"))) {
            return new ScoreImages(Decoded(ImageFolder.Open(root, "train"), MostTraining), Decoded(val, MostTest), side);
        }
        Tensor images = Decoded(val, MostTraining + MostTest);
        Tensor isTest = arange(images.size(0)).remainder(TestShare).eq(0);
        return new ScoreImages(images[isTest.logical_not()], images[isTest], side);

        Tensor Decoded(ImageFolder folder, int most)
        {
            ImageFolder some = folder.Spread(most);
            var progress = new ProgressLine(console, some.Images.Count);
            using var pass = new ImageEpoch(some, new ImageBatchOptions { BatchSize = 256, Training = false, Side = ScoreImages.Side, Shorter = ScoreImages.Side, Warn = progress.Say }, 0);
            var batches = new List<Tensor>();
            long count = 0;
            while (pass.Next() is ImageBatch batch) {
                console.Stop.ThrowIfCancellationRequested();
                batch.Labels.Dispose();
                scope.Attach(batch.Images);
                batches.Add(batch.Images);
                progress.Report(count += batch.Images.size(0), "reading images");
            }
            progress.Clear();
            return count >= TestShare
                ? cat(batches)
                : throw new ExperimentException($"{Quoted.Path(root)} has {count} images that can be read, which is too few to train on and to test.");
        }
    }
}
