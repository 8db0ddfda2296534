using LsmrTorch.Experiments.Running;
using LsmrTorch.Experiments.Sparsity;

namespace LsmrTorch.Experiments.Preserve;

/// <summary>Everything besides the command line that decides the figures of `preserve`.</summary>
internal sealed record PreserveSizes
{
    /// <summary>The network and how it is trained on the old data.</summary>
    public required SparsitySizes Training { get; init; }

    /// <summary>Steps of each fine-tuning.</summary>
    public required int Steps { get; init; }

    /// <summary>New images a step.</summary>
    public int NewImages { get; init; } = 64;

    /// <summary>Protected (or replayed, or distilled) images a step, drawn anew from the old training images.</summary>
    public int Protected { get; init; } = 32;

    /// <summary>Weights of replay and of distillation, of which each takes the best on images held out of training.</summary>
    public required double[] Weights { get; init; }

    public required int Seeds { get; init; }

    /// <summary>Training images held out to choose the weights by.</summary>
    public required int Tuning { get; init; }

    /// <summary>Steps of replay and distillation that take about the time of one of ours; the seconds of a step say how equal the times were.</summary>
    public double EqualTime { get; init; } = 2.3;

    public double LearningRate { get; init; } = 0.03;

    /// <summary>The gradient's norm at most, for all methods: with fixed batch statistics new classes begin with steep losses.</summary>
    public double Clip { get; init; } = 1;

    public double Momentum { get; init; } = 0.9;

    /// <summary>κ.</summary>
    public double Rate { get; init; } = 0.5;

    /// <summary>Tolerance of the solve in a step.</summary>
    public double Tolerance { get; init; } = 0.1;

    /// <summary>Iterations of the solve in a step, at most.</summary>
    public int Iterations { get; init; } = 10;

    /// <summary>The sizes of a preset.</summary>
    public static PreserveSizes Of(string preset) => preset switch {
        "smoke" => new PreserveSizes {
            Training = SparsitySizes.Of("smoke") with { DenseEpochs = 4 },
            Steps = 8,
            Protected = 8,
            NewImages = 32,
            Weights = [1],
            Seeds = 1,
            Tuning = 100,
        },
        "small" => new PreserveSizes {
            Training = SparsitySizes.Of("small") with { Depth = 8, DenseEpochs = 12 },
            Steps = 100,
            Weights = [0.1, 0.3, 1, 3],
            Seeds = 3,
            Tuning = 500,
        },
        "paper" => new PreserveSizes {
            Training = SparsitySizes.Of("paper") with { Depth = 20, Width = 0 },
            Steps = 2000,
            NewImages = 128,
            Weights = [0.03, 0.1, 0.3, 1, 3, 10],
            Seeds = 5,
            Tuning = 2000,
        },
        _ => throw new ExperimentException($"preserve has no preset '{preset}', only smoke, small and paper."),
    };
}
