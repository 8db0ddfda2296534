using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>Everything besides seed and device that decides what comes out.</summary>
internal sealed record GradientCheckSizes
{
    /// <summary>Multiples of 30 × 12, 16 × 16 and 12 × 30.</summary>
    public IReadOnlyList<int> Scales { get; init; } = [1];

    /// <summary>The largest singular value over the smallest that is not zero.</summary>
    public IReadOnlyList<double> Conds { get; init; } = [10, 1000];

    /// <summary>λ, where ‖A‖ is 1: none, two small ones (the smallest singular values are 0.1 and 0.001), a large one.</summary>
    public IReadOnlyList<double> Damps { get; init; } = [0, 1e-3, 1e-2, 0.5];

    /// <summary>The error that float64 is to stay below.</summary>
    public double GoalFloat64 { get; init; } = 1e-8;

    /// <summary>The error that float32 is to stay below.</summary>
    public double GoalFloat32 { get; init; } = 1e-3;

    /// <summary>The error that central differences are to stay below; they have one of their own of about 1e-9.</summary>
    public double GoalDifference { get; init; } = 1e-6;

    /// <summary>The error that each case of <see cref="Cases"/> is to stay below.</summary>
    public double GoalCase { get; init; } = 1e-6;

    /// <summary>A file of cases with their references, or null.</summary>
    public string? Cases { get; init; }

    /// <summary>The sizes of a preset.</summary>
    public static GradientCheckSizes Of(string preset) => preset switch {
        "smoke" => new GradientCheckSizes(),
        "small" => new GradientCheckSizes { Scales = [1, 5], Conds = [1, 10, 100, 1000] },
        _ => throw new ExperimentException($"gradient-check has no preset '{preset}': it repeats nothing published; small is its largest."),
    };
}
