using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Images;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>The networks of one seed, side by side on the same batches.</summary>
internal sealed class SeedRun : IDisposable
{
    private const string Phase = "training";
    private readonly EquivarianceSizes _sizes;
    private readonly long _seed;
    private readonly ImageBatches _data;
    private readonly EquivarianceLane[] _lanes;
    private readonly int _passes;

    /// <param name="sizes">Of all networks.</param>
    /// <param name="images">What is trained and tested on.</param>
    /// <param name="seed">Of weights, orders, crops and symmetries.</param>
    /// <param name="hasAll">Whether it has every network, or only those that are compared over the seeds.</param>
    /// <param name="device">Where they train.</param>
    public SeedRun(EquivarianceSizes sizes, Cifar10 images, long seed, bool hasAll, Device device)
    {
        (_sizes, _seed) = (sizes, seed);
        _data = new ImageBatches(images, sizes.BatchSize, seed, device);
        long trained = (long)sizes.TrainedEpochs * _data.PerEpoch;
        EquivarianceLane[] others = hasAll ? [
            new EquivarianceLane("plain", sizes.Widths, sizes, seed, device),
            .. sizes.Penalties.Select(weight => new PenaltyLane(weight, sizes.Widths, sizes, seed, device)),
            Function("f_each", new FunctionReading(Each: true)),
            Function("f_augmentation", new FunctionReading(Augments: true)),
            Function("f_trained", new FunctionReading(WarmUp: trained)),
        ] : [];
        _lanes = [
            .. others,
            Function("f", new FunctionReading()),
            new AugmentedLane("augmentation", sizes.Widths, sizes, 1, seed, device),
            new AugmentedLane("augmentation_equal_time", sizes.Widths, sizes, sizes.EqualTimeDescents, seed, device),
            new AugmentedLane("augmentation_wide", sizes.WideWidths, sizes, 1, seed, device),
            new WeightsLane("w", sizes.Widths, sizes, seed, device),
            new WeightsLane("w_wide", sizes.WideWidths, sizes, seed, device),
        ];
        _passes = _lanes.Max(lane => lane.Descents);

        FunctionLane Function(string name, FunctionReading reading) => new(name, reading, sizes.Widths, sizes, seed, device);
    }

    /// <summary>All networks.</summary>
    public IReadOnlyList<EquivarianceLane> Lanes => _lanes;

    /// <summary>Steps of an epoch.</summary>
    public int PerEpoch => _data.PerEpoch;

    /// <summary>The steps of an epoch; each gives the mean loss and the seconds of every network, in their order.</summary>
    public IEnumerable<(double Loss, double Seconds)[]> Epoch(int epoch)
    {
        int steps = _sizes.Epochs * _data.PerEpoch;
        // What the equal time of several descents needs is passes of its own over the images.
        (int Number, int[] Order)[] passes = [.. Enumerable.Range(epoch * _passes, _passes).Select(pass => (pass, _data.Order(Phase, pass)))];
        for (int index = 0; index < _data.PerEpoch; index++) {
            int step = (epoch * _data.PerEpoch) + index;
            Batch[] batches = [.. passes.Select(pass => _data.Train(pass.Order, Phase, pass.Number, index))];
            try {
                yield return [.. _lanes.Select(lane => lane.Step(batches, step, Share(step, steps)))];
            } finally {
                foreach (Batch batch in batches) {
                    batch.Dispose();
                }
            }
        }
    }

    /// <summary>What a network is worth on the test images.</summary>
    public EquivarianceMeasure Measure(EquivarianceLane lane) => EquivarianceMeasure.Of(lane.Model, _data, _seed);

    /// <summary>Puts all networks into a checkpoint.</summary>
    public void Save(Dictionary<string, Tensor> tensors)
    {
        foreach (EquivarianceLane lane in _lanes) {
            lane.Save(tensors);
        }
    }

    /// <summary>Takes them from it.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        foreach (EquivarianceLane lane in _lanes) {
            lane.Load(tensors);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (EquivarianceLane lane in _lanes) {
            lane.Dispose();
        }
        _data.Dispose();
    }

    // Of the highest learning rate.
    private static double Share(int step, int steps)
    {
        double rise = Math.Min(1, (step + 1) / (0.1 * steps)), fall = 0.5 * (1 + Math.Cos(Math.PI * step / steps));
        return rise * fall;
    }
}
