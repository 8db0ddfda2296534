using System.Globalization;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>One continuation of a seed's dense network: a method at a share.</summary>
/// <param name="Method">Its word in figures.</param>
/// <param name="Share">Of the weights that must vanish; 0 where none must.</param>
/// <param name="Penalty">λ of ℓ1; 0 elsewhere.</param>
internal sealed record SweepCell(string Method, double Share, double Penalty = 0)
{
    /// <summary>Ours otherwise, at the share of <see cref="SweepSizes.Training"/>.</summary>
    public static readonly string[] Variants = ["ours_longer_ramp", "ours_slow", "ours_layerwise", "ours_fine_tuned"];

    /// <summary>All cells of a seed, in their order. The smooth count is tried for the first alone.</summary>
    public static IReadOnlyList<SweepCell> All(SweepSizes sizes, bool isFirstSeed)
    {
        double share = sizes.Training.Share;
        return [
            new SweepCell("dense_longer", 0),
            .. sizes.Shares.SelectMany(each => new[] { "ours", "gradual", "oneshot" }, (each, method) => new SweepCell(method, each)),
            .. sizes.Penalties.Select(penalty => new SweepCell("l1", share, penalty)),
            .. Variants.Select(method => new SweepCell(method, share)),
            .. isFirstSeed ? new[] { new SweepCell("count", share) } : [],
        ];
    }

    /// <summary>A method and a share, as figures name them: 90_ours.</summary>
    public string Key => Share == 0 ? Method : string.Create(CultureInfo.InvariantCulture, $"{100 * Share:F0}_{Method}");

    /// <summary>A network to be trained by it; the caller owns it.</summary>
    public Lane Lane(SparsitySizes training, int perEpoch, long seed, Device device)
    {
        SparsitySizes sizes = training with { Share = Share };
        sizes = Method switch {
            "ours_longer_ramp" => sizes with { RampPart = 0.75 },
            "ours_slow" => sizes with { Rate = 0.02 },
            "ours_layerwise" => sizes with { PerLayer = true },
            "ours_fine_tuned" => sizes with { RampPart = 0.25 },
            _ => sizes,
        };
        var schedule = new Schedules(sizes, sizes.FurtherEpochs * perEpoch);
        return Method switch {
            "dense_longer" => new Lane(Method, sizes, seed, device),
            "gradual" => new PrunedLane(Method, sizes, seed, device, schedule),
            "oneshot" => new PrunedLane(Method, sizes, seed, device, schedule: null),
            "l1" => new ShrunkLane(Method, Penalty, sizes, seed, device, schedule),
            "count" => new CountLane(Method, sizes, seed, device, schedule),
            _ => new NullSpaceLane(Method, sizes, seed, device, schedule),
        };
    }
}

/// <summary>A cell at its end: accuracies on test and held-out images before and after zeroing, on tuning images, exact zeros, seconds a step, the smooth count's share left.</summary>
internal sealed record SweepResult(
    long Seed, string Key, double Penalty, double Accuracy, double Before, double TuningAccuracy, double Zeros, double SecondsPerStep, double? Left);
