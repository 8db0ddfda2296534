using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>Everything besides the command line that decides the figures of `sparsity-sweep`.</summary>
internal sealed record SweepSizes
{
    /// <summary>The network and its training; <see cref="SparsitySizes.Share"/> is that of the variants, of ℓ1 and of the smooth count.</summary>
    public required SparsitySizes Training { get; init; }

    /// <summary>Shares of the weights that must vanish.</summary>
    public double[] Shares { get; init; } = [0.5, 0.8, 0.9, 0.95];

    /// <summary>Weights of the ℓ1 penalty, of which each seed takes the best on held-out images.</summary>
    public required double[] Penalties { get; init; }

    /// <summary>Seeds, counted up from that of the command line.</summary>
    public required int Seeds { get; init; }

    /// <summary>Images held out of training to be tested on beside the test images.</summary>
    public required int HeldOut { get; init; }

    /// <summary>Further images held out of training to choose the penalty by.</summary>
    public required int Tuning { get; init; }

    /// <summary>The sizes of a preset.</summary>
    public static SweepSizes Of(string preset) => preset switch {
        "smoke" => new SweepSizes {
            Training = SparsitySizes.Of("smoke") with { TrainImages = 520, TestImages = 200, DenseEpochs = 4, FurtherEpochs = 2 },
            Shares = [0.5, 0.9],
            Penalties = [1e-3],
            Seeds = 2,
            HeldOut = 100,
            Tuning = 100,
        },
        "small" => new SweepSizes {
            Training = SparsitySizes.Of("small") with { Depth = 8, DenseEpochs = 12, FurtherEpochs = 4 },
            Penalties = [1e-4, 3e-4, 1e-3, 3e-3],
            Seeds = 6,
            HeldOut = 1000,
            Tuning = 500,
        },
        "paper" => new SweepSizes {
            Training = SparsitySizes.Of("paper") with { Depth = 20, Width = 0 },
            Penalties = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3],
            Seeds = 5,
            HeldOut = 1000,
            Tuning = 4000,
        },
        _ => throw new ExperimentException($"sparsity-sweep has no preset '{preset}', only smoke, small and paper."),
    };
}
