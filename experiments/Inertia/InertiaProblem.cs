using System.Globalization;
using LsmrTorch.Experiments.Running;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>One number of training points and one seed: its networks, side by side.</summary>
internal sealed class InertiaProblem : IDisposable
{
    private readonly InertiaData _data;

    public InertiaProblem(InertiaSizes sizes, int points, int number, long seed)
    {
        (Points, Number) = (points, number);
        _data = new InertiaData(points, sizes, Seeds.Derive(seed, "problem", number));
        InertiaMlp New() => new(sizes.Hidden, _data.Seed);
        TensorNet NewTensors() => new(sizes.Scalars, sizes.Vectors, _data.Seed);
        Lanes = [
            new InertiaLane("plain", sizes, _data, New()),
            new InertiaLane("augmentation", sizes, _data, New()) { IsAugmented = true },
            .. sizes.Penalties.Select(weight => new InertiaLane(NameOf(weight), sizes, _data, New()) { Penalty = weight }),
            new FunctionLane("f", sizes, _data, New()),
            new FunctionLane("f_augmentation", sizes, _data, New()) { IsAugmented = true },
            new WeightsLane("w", sizes, _data, NewTensors()),
            new InertiaLane("tensors_augmentation", sizes, _data, NewTensors()) { IsAugmented = true },
            new InertiaLane("augmentation_f_time", sizes, _data, New()) { IsAugmented = true, Descents = sizes.FunctionTimeDescents },
            new InertiaLane("penalty_f_time", sizes, _data, New()) { Penalty = sizes.FunctionTimePenalty, Descents = sizes.FunctionTimePenaltyDescents },
            new InertiaLane("augmentation_w_time", sizes, _data, New()) { IsAugmented = true, Descents = sizes.WeightsTimeDescents },
            new InertiaLane("tensors_augmentation_w_time", sizes, _data, NewTensors()) { IsAugmented = true, Descents = sizes.WeightsTimeTensorDescents },
        ];
    }

    public int Points { get; }

    /// <summary>Of the seed, from 0.</summary>
    public int Number { get; }

    public IReadOnlyList<InertiaLane> Lanes { get; }

    /// <summary>Such as penalty_0.1.</summary>
    public static string NameOf(double weight) => string.Create(CultureInfo.InvariantCulture, $"penalty_{weight}");

    public InertiaRecord Measure(InertiaLane lane, int step, double loss)
    {
        InertiaMeasure test = InertiaMeasure.Of(lane.Network.forward, _data.Test), held = InertiaMeasure.Of(lane.Network.forward, _data.HeldOut);
        return new InertiaRecord(Points, Number, lane.Name, step + 1, loss, test.Error, test.Transformed, test.Equivariance, held.Transformed,
            lane.LastStep?.ConstraintNorm, lane.LastStep?.Iterations);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (InertiaLane lane in Lanes) {
            lane.Dispose();
        }
        _data.Dispose();
    }
}
