using System.Runtime.CompilerServices;

namespace LsmrTorch.Datasets;

/// <summary>
/// Images in the format of CIFAR-10 for machines that do not have it. The ten classes are five shapes by two textures,
/// at random places and sizes, nearly upright, in random colours, over gradients, clutter and noise; every ten
/// consecutive images hold each class once. Image i of a seed does not depend on how many images are made.
/// </summary>
public static class Cifar10Generator
{
    // What a stream of random numbers is for; each has its own.
    private enum Part
    {
        TrainImage,
        TestImage,
        TrainOrder,
        TestOrder,
    }

    /// <summary>
    /// Writes data_batch_1.bin to data_batch_5.bin, of <paramref name="imagesPerTrainingBatch"/> images each, and then
    /// test_batch.bin into <paramref name="folder"/>, which is made if it is missing. Files of these names are
    /// replaced, each at once. <see cref="Cifar10.Load"/> then gives what
    /// Generate(5 * imagesPerTrainingBatch, testImages, seed) gives.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A number of images is below 1 or over 100,000, the most that a file may have.
    /// </exception>
    /// <exception cref="DatasetException">The folder or a file cannot be written.</exception>
    public static void Write(string folder, int imagesPerTrainingBatch, int testImages, long seed)
    {
        ArgumentNullException.ThrowIfNull(folder);
        CheckCount(imagesPerTrainingBatch, Cifar10Records.MostInFile);
        CheckCount(testImages, Cifar10Records.MostInFile);
        try {
            Directory.CreateDirectory(folder);
            // The test file comes last, so that a folder cut short has none and does not load.
            File.Delete(Path.Combine(folder, Cifar10.TestFile));
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotWrite(folder, error);
        }
        for (int k = 0; k < Cifar10.TrainFiles; k++) {
            Draw(Part.TrainImage, (long)k * imagesPerTrainingBatch, imagesPerTrainingBatch, seed)
                .Write(Path.Combine(folder, Cifar10.TrainFile(k + 1)));
        }
        Draw(Part.TestImage, 0, testImages, seed).Write(Path.Combine(folder, Cifar10.TestFile));
    }

    /// <summary>
    /// The same images in memory: the first <paramref name="trainImages"/> training and
    /// <paramref name="testImages"/> test images of <paramref name="seed"/>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A number of images is below 1 or beyond what an array can hold.
    /// </exception>
    public static Cifar10 Generate(int trainImages, int testImages, long seed)
    {
        CheckCount(trainImages, Cifar10Records.MaximalCount);
        CheckCount(testImages, Cifar10Records.MaximalCount);
        return new Cifar10([Draw(Part.TrainImage, 0, trainImages, seed)], Draw(Part.TestImage, 0, testImages, seed));
    }

    private static void CheckCount(int images, int most, [CallerArgumentExpression(nameof(images))] string? name = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(images, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(images, most, name);
    }

    /// <summary>The <paramref name="count"/> images of a part from number <paramref name="start"/> on.</summary>
    private static Cifar10Records Draw(Part part, long start, int count, long seed)
    {
        var records = new Cifar10Records(count);
        for (int i = 0; i < count; i++) {
            long index = start + i;
            int label = Label(part == Part.TrainImage ? Part.TrainOrder : Part.TestOrder, index, seed);
            records.Labels[i] = label;
            SyntheticImage.Draw(label, Stream(part, index, seed), records.Image(i));
        }
        return records;
    }

    /// <summary>The class of an image, by a random order of the ten for every ten images.</summary>
    private static int Label(Part order, long index, long seed)
    {
        SplitMix64 random = Stream(order, index / Cifar10Records.Classes, seed);
        int[] labels = [.. Enumerable.Range(0, Cifar10Records.Classes)];
        for (int last = labels.Length - 1; last > 0; last--) {
            int other = random.Below(last + 1);
            (labels[last], labels[other]) = (labels[other], labels[last]);
        }
        return labels[index % Cifar10Records.Classes];
    }

    private static SplitMix64 Stream(Part part, long index, long seed)
        => SplitMix64.Stream(seed, index * 4 + (long)part);
}
