using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Scale;

/// <summary>Everything besides the command line that decides the figures of `scale`.</summary>
internal sealed record ScaleSizes
{
    /// <summary>Whether the network is Swin-S; otherwise a tiny one of the same kind.</summary>
    public required bool IsSwinS { get; init; }

    /// <summary>Images a step.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Steps under the constraint; as many without it, in turns.</summary>
    public required int Steps { get; init; }

    /// <summary>Share of the weights of matrices and convolutions that are to vanish.</summary>
    public double Share { get; init; } = 0.5;

    /// <summary>κ.</summary>
    public double Rate { get; init; } = 0.1;

    /// <summary>Steps between two choices of the weights.</summary>
    public int ChooseEvery { get; init; } = 25;

    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Pixels of a side.</summary>
    public int Side => IsSwinS ? 224 : 32;

    /// <summary>The network, with 1,000 classes or 10.</summary>
    public Swin Network(long seed) => IsSwinS ? Swin.Small(1000, seed) : new Swin(4, 16, [2, 2], [2, 4], 4, 0.0, 10, seed);

    /// <summary>The sizes of a preset.</summary>
    public static ScaleSizes Of(string preset) => preset switch {
        "smoke" => new ScaleSizes { IsSwinS = false, BatchSize = 2, Steps = 6, ChooseEvery = 3 },
        "small" => new ScaleSizes { IsSwinS = true, BatchSize = 4, Steps = 100 },
        "paper" => new ScaleSizes { IsSwinS = true, BatchSize = 32, Steps = 100 },
        _ => throw new ExperimentException($"scale has no preset '{preset}', only smoke, small and paper."),
    };
}
