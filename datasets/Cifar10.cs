using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Datasets;

/// <summary>
/// CIFAR-10 (Krizhevsky 2009, "Learning multiple layers of features from tiny images"), or images generated in its
/// format, as tensors on the CPU. Disposing of it frees the four tensors; so does, as for every tensor, the dispose
/// scope they were made in.
/// </summary>
public sealed class Cifar10 : IDisposable
{
    /// <summary>The number of files of training images.</summary>
    internal const int TrainFiles = 5;

    /// <summary>The name of the file of test images.</summary>
    internal const string TestFile = "test_batch.bin";

    internal Cifar10(IReadOnlyList<Cifar10Records> train, Cifar10Records test)
    {
        using var scope = NewDisposeScope();
        (TrainImages, TrainLabels) = Tensors(train);
        (TestImages, TestLabels) = Tensors([test]);
        scope.MoveToOuter(TrainImages, TrainLabels, TestImages, TestLabels);
    }

    /// <summary>Training images, uint8, (N, 3, 32, 32): red, green and blue planes, rows from the top.</summary>
    public Tensor TrainImages { get; }

    /// <summary>Classes of the training images, int64, (N), 0 to 9.</summary>
    public Tensor TrainLabels { get; }

    /// <summary>Test images, uint8, (M, 3, 32, 32).</summary>
    public Tensor TestImages { get; }

    /// <summary>Classes of the test images, int64, (M), 0 to 9.</summary>
    public Tensor TestLabels { get; }

    /// <summary>
    /// The images of those of data_batch_1.bin to data_batch_5.bin that are in <paramref name="folder"/>, in this
    /// order, and of test_batch.bin: the files of CIFAR-10's binary version, or shorter ones of its format.
    /// </summary>
    /// <exception cref="DatasetException">
    /// The folder, all training files or the test file are missing; a file cannot be read, is empty or cut short, or
    /// has a label over 9.
    /// </exception>
    public static Cifar10 Load(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (!Directory.Exists(folder)) {
            throw new DatasetException($"The CIFAR-10 folder {Quoted.Path(folder)} does not exist.");
        }
        IEnumerable<string> names = Enumerable.Range(1, TrainFiles).Select(TrainFile);
        string[] trainFiles = [.. names.Select(name => Path.Combine(folder, name)).Where(File.Exists)];
        if (trainFiles.Length == 0) {
            throw new DatasetException(
                $"{Quoted.Path(folder)} has none of the training files {TrainFile(1)} to {TrainFile(TrainFiles)} of CIFAR-10.");
        }
        string testFile = Path.Combine(folder, TestFile);
        if (!File.Exists(testFile)) {
            throw new DatasetException($"{Quoted.Path(folder)} has no {TestFile}, the file of CIFAR-10's test images.");
        }
        return new Cifar10([.. trainFiles.Select(Cifar10Records.Read)], Cifar10Records.Read(testFile));
    }

    /// <summary>Frees the tensors.</summary>
    public void Dispose()
    {
        TrainImages.Dispose();
        TrainLabels.Dispose();
        TestImages.Dispose();
        TestLabels.Dispose();
    }

    /// <summary>The name of training file <paramref name="number"/>, 1 to 5.</summary>
    internal static string TrainFile(int number) => FormattableString.Invariant($"data_batch_{number}.bin");

    private static (Tensor Images, Tensor Labels) Tensors(IReadOnlyList<Cifar10Records> files)
    {
        long[] shape = [-1, 3, Cifar10Records.Side, Cifar10Records.Side];
        Tensor[] images = [.. files.Select(file => tensor(file.Pixels, uint8).view(shape))];
        Tensor[] labels = [.. files.Select(file => tensor(file.Labels, int64))];
        return (cat(images, 0), cat(labels, 0));
    }
}
