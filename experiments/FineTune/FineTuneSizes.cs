using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.FineTune;

/// <summary>Everything besides the command line that decides the figures of `imagenet`.</summary>
internal sealed record FineTuneSizes
{
    /// <summary>Whether the network is Swin-S; otherwise a tiny one of the same kind.</summary>
    public required bool IsSwinS { get; init; }

    public required int BatchSize { get; init; }

    public required int Steps { get; init; }

    /// <summary>Share of the weights of matrices and convolutions that are to vanish.</summary>
    public double Share { get; init; } = 0.5;

    /// <summary>Part of the steps over which the share rises.</summary>
    public double RampPart { get; init; } = 0.5;

    /// <summary>Steps between two choices of the weights, until the ramp ends.</summary>
    public required int ChooseEvery { get; init; }

    /// <summary>κ while weights are being chosen; 1 afterwards.</summary>
    public double Rate { get; init; } = 0.1;

    /// <summary>Of SGD at the start; it falls as a cosine.</summary>
    public double LearningRate { get; init; } = 1e-3;

    public double Momentum { get; init; } = 0.9;

    /// <summary>Steps between two checkpoints. A pass over the images begins anew after each.</summary>
    public required int CheckpointEvery { get; init; }

    /// <summary>Images to test on, at most.</summary>
    public int TestImages { get; init; } = int.MaxValue;

    /// <summary>Pixels of a side, and what the shorter side is resized to before.</summary>
    public int Side => IsSwinS ? 224 : 32;

    public int Shorter => IsSwinS ? 256 : 36;

    /// <summary>The network.</summary>
    public Swin Network(long classes, long seed) => IsSwinS ? Swin.Small(classes, seed) : new Swin(4, 16, [2, 2], [2, 4], 4, 0.1, classes, seed);

    /// <summary>The sizes of a preset.</summary>
    public static FineTuneSizes Of(string preset) => preset switch {
        "smoke" => new FineTuneSizes { IsSwinS = false, BatchSize = 16, Steps = 40, ChooseEvery = 2, CheckpointEvery = 10, LearningRate = 0.01 },
        "small" => new FineTuneSizes { IsSwinS = true, BatchSize = 4, Steps = 100, ChooseEvery = 5, CheckpointEvery = 25, TestImages = 200 },
        "paper" => new FineTuneSizes { IsSwinS = true, BatchSize = 128, Steps = 100_000, ChooseEvery = 250, CheckpointEvery = 1000 },
        _ => throw new ExperimentException($"imagenet has no preset '{preset}', only smoke, small and paper."),
    };
}
