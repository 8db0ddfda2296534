using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>Everything besides seed and device that decides what comes out.</summary>
internal sealed record ConditioningSizes
{
    /// <summary>n, a power of 4; A is 4n × n.</summary>
    public required int Columns { get; init; }

    /// <summary>Problems a point, each with a seed of its own; the median is reported.</summary>
    public required int Seeds { get; init; }

    /// <summary>cond(A) of the first sweep; every tolerance is at its floor there.</summary>
    public required IReadOnlyList<double> Conds { get; init; }

    /// <summary>The tolerances of the second sweep.</summary>
    public required IReadOnlyList<double> Tolerances { get; init; }

    /// <summary>The noise of the third sweep, relative to each product; every tolerance is at its floor there.</summary>
    public required IReadOnlyList<double> Noises { get; init; }

    /// <summary>cond(A) of the second and third sweep.</summary>
    public double SweepCond { get; init; } = 100;

    /// <summary>λ, where ‖A‖ is 1.</summary>
    public IReadOnlyList<double> Damps { get; init; } = [0, 1e-4, 1e-2];

    /// <summary>‖b − A x‖ that no x removes, relative to ‖b‖.</summary>
    public double Misfit { get; init; } = 0.01;

    /// <summary>m of the dense matrix that is solved with beside torch.linalg.lstsq.</summary>
    public required int TallRows { get; init; }

    /// <summary>Its n.</summary>
    public required int TallColumns { get; init; }

    /// <summary>Iterations of each solve at most.</summary>
    public int MaxIterations => 20 * Columns;

    /// <summary>The sizes of a preset.</summary>
    public static ConditioningSizes Of(string preset) => preset switch {
        "smoke" => new ConditioningSizes {
            Columns = 16,
            Seeds = 3,
            Conds = Powers(0, 12, 2),
            Tolerances = Powers(-2, -14, 2),
            Noises = Powers(-3, -12, 1),
            TallRows = 2000,
            TallColumns = 200,
        },
        "small" => new ConditioningSizes {
            Columns = 64,
            Seeds = 5,
            Conds = Powers(0, 12, 1),
            Tolerances = Powers(-2, -14, 1),
            Noises = Powers(-3, -12, 1),
            TallRows = 20000,
            TallColumns = 2000,
        },
        _ => throw new ExperimentException($"conditioning has no preset '{preset}': it repeats nothing published; small is its largest."),
    };

    private static double[] Powers(int from, int to, int step) =>
        [.. Enumerable.Range(0, (Math.Abs(to - from) / step) + 1).Select(i => Math.Pow(10, from + (Math.Sign(to - from) * step * i)))];
}
