using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>Everything besides seed and device that decides what comes out.</summary>
internal sealed record PeriodicSizes
{
    /// <summary>Width of the network 1-h-h-1.</summary>
    public int Hidden { get; init; } = 32;

    /// <summary>Points of sin in [−π, π], evenly spaced; all of them in every step.</summary>
    public int TrainingPoints { get; init; } = 64;

    /// <summary>Steps of every network.</summary>
    public required int Steps { get; init; }

    /// <summary>Steps at the start in which nothing knows of the constraint, the penalty neither.</summary>
    public int WarmUpSteps { get; init; } = 500;

    /// <summary>Collocation points a step, drawn anew; the penalty's are the same.</summary>
    public int Points { get; init; } = 50;

    /// <summary>Adam's learning rate at the start; it falls by a half cosine.</summary>
    public double LearningRate { get; init; } = 3e-2;

    /// <summary>The learning rate at the end, as a share of that at the start.</summary>
    public double FinalShare { get; init; } = 0.1;

    /// <summary>
    /// Adam's ε, large: a step then follows the gradient itself where the gradient is small. With 1e-8 every weight
    /// moves by about the learning rate, whatever its gradient, and what is left of such a step once it is projected
    /// need not go downhill: the network ended close to a constant, which is periodic too.
    /// </summary>
    public double Epsilon { get; init; } = 3e-2;

    /// <summary>Adam's β₁.</summary>
    public double Momentum { get; init; } = 0.8;

    /// <summary>
    /// κ: the share of c that a step removes. A higher one leaves less of c at the end, and makes the error jump for the
    /// first 2,000 steps or so.
    /// </summary>
    public double Rate { get; init; } = 0.01;

    /// <summary>Damping of the solve, relative to the root mean square of the residuals.</summary>
    public double Damp { get; init; } = 0.1;

    /// <summary>
    /// Relative tolerance of the solve. At 1e-2 it stops short of the small singular values, which hold the last of c:
    /// the error outside then ended about twice as large.
    /// </summary>
    public double Tolerance { get; init; } = 1e-3;

    /// <summary>Iterations of a solve at most.</summary>
    public int MaxIterations { get; init; } = 50;

    /// <summary>λ of the penalty, a network for each.</summary>
    public IReadOnlyList<double> Penalties { get; init; } = [0.1, 0.3, 1, 3, 10];

    /// <summary>Steps between two lines of metrics.</summary>
    public int RecordEvery { get; init; } = 50;

    /// <summary>Steps between two checkpoints.</summary>
    public int CheckpointEvery { get; init; } = 500;

    /// <summary>The sizes of a preset.</summary>
    public static PeriodicSizes Of(string preset) => preset switch {
        "smoke" => new PeriodicSizes { Steps = 1000, WarmUpSteps = 200, Tolerance = 1e-2, Penalties = [0.3, 1, 3], RecordEvery = 25 },
        "small" => new PeriodicSizes { Steps = 8000, Rate = 0.03 },
        "paper" => new PeriodicSizes { Steps = 40_000, Rate = 0.03 },
        _ => throw new ExperimentException($"The experiment has no preset '{preset}'."),
    };
}
