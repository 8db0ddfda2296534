using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Images;

/// <summary>
/// Batches of CIFAR-10 images: normalised by the training images' mean and deviation per channel; training images
/// also padded by 4, cropped at random and flipped at random (He et al. 2016), all of a batch in a few tensor operations.
/// </summary>
internal sealed class ImageBatches : IDisposable
{
    private const int Side = 32;
    private const int Padding = 4;
    private static readonly Scalar s_one = 1.0f.ToScalar();
    private readonly int _batchSize;
    private readonly long _seed;
    private readonly Tensor _trainImages, _trainLabels, _testImages, _testLabels;
    private readonly Tensor _scale, _shift; // x ↦ scale · x + shift takes away the mean and divides by the deviation
    private readonly RandomCrops _crops;

    public ImageBatches(Cifar10 data, int batchSize, long seed, Device device)
        : this((data.TrainImages, data.TrainLabels), (data.TestImages, data.TestLabels), batchSize, seed, device)
    {
    }

    /// <summary>The same for images of any split, uint8, N×3×32×32, with their classes, of which it takes copies.</summary>
    /// <param name="train">Images to train on.</param>
    /// <param name="test">Images to measure on.</param>
    /// <param name="batchSize">Training images a batch.</param>
    /// <param name="seed">Of orders and crops.</param>
    /// <param name="device">Where they are to be.</param>
    /// <param name="normalisedAs">Images whose mean and deviation are taken; null for the training images.</param>
    public ImageBatches((Tensor Images, Tensor Labels) train, (Tensor Images, Tensor Labels) test, int batchSize, long seed, Device device, Tensor? normalisedAs = null)
    {
        _batchSize = batchSize;
        _seed = seed;
        using var scope = NewDisposeScope();
        _trainImages = train.Images.to(device, copy: true);
        _trainLabels = train.Labels.to(device, copy: true);
        _testImages = test.Images.to(device, copy: true);
        _testLabels = test.Labels.to(device, copy: true);
        Tensor images = (normalisedAs ?? _trainImages).to(device).to_type(ScalarType.Float32);
        Tensor mean = images.mean([0, 2, 3]).view(1, 3, 1, 1);
        Tensor deviation = images.std([0, 2, 3]).view(1, 3, 1, 1);
        _scale = deviation.reciprocal();
        _shift = mean.div(deviation).neg();
        _crops = new RandomCrops(Side, Padding, device);
        scope.Detach(_trainImages, _trainLabels, _testImages, _testLabels, _scale, _shift);
        TrainCount = (int)train.Images.size(0);
        TestCount = (int)test.Images.size(0);
    }

    public int TrainCount { get; }

    public int TestCount { get; }

    /// <summary>Batches of training images in an epoch; the last may be smaller.</summary>
    public int PerEpoch => (TrainCount + _batchSize - 1) / _batchSize;

    /// <summary>The order of an epoch, which depends on the seed, the phase and the epoch and on nothing before.</summary>
    public int[] Order(string phase, int epoch)
    {
        int[] order = [.. Enumerable.Range(0, TrainCount)];
        Seeds.Managed(_seed, $"order of {phase}", epoch).Shuffle(order);
        return order;
    }

    /// <summary>Training batch <paramref name="index"/> of an epoch, cropped and flipped at random.</summary>
    public Batch Train(int[] order, string phase, int epoch, int index)
    {
        using var scope = NewDisposeScope();
        Random random = Seeds.Managed(_seed, $"crops of {phase}", ((long)epoch * PerEpoch) + index);
        long[] chosen = [.. order.Skip(index * _batchSize).Take(_batchSize).Select(i => (long)i)];
        Tensor rows = tensor(chosen, device: _trainImages.device);
        Tensor crops = _crops.Apply(Normalised(_trainImages.index_select(0, rows)), random);
        Tensor labels = _trainLabels.index_select(0, rows);
        return new Batch(crops.MoveToOuterDisposeScope(), labels.MoveToOuterDisposeScope());
    }

    /// <summary>Test images <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/>, or to the last.</summary>
    public Batch Test(int start, int count)
    {
        using var scope = NewDisposeScope();
        long length = Math.Min(count, TestCount - start);
        Tensor images = Normalised(_testImages.narrow(0, start, length));
        return new Batch(images.MoveToOuterDisposeScope(), _testLabels.narrow(0, start, length).MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor owned in new[] { _trainImages, _trainLabels, _testImages, _testLabels, _scale, _shift }) {
            owned.Dispose();
        }
        _crops.Dispose();
    }

    private Tensor Normalised(Tensor images) => images.to_type(ScalarType.Float32).mul_(_scale).add_(_shift, s_one);
}
