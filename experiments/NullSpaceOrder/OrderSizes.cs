using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>Everything besides seed and device that decides what comes out.</summary>
internal sealed record OrderSizes
{
    /// <summary>The problems, one after the other.</summary>
    public required IReadOnlyList<ProblemSizes> Problems { get; init; }

    /// <summary>Networks of each kind, from weights and points of their own; figures are means over them.</summary>
    public int Seeds { get; init; } = 1;

    /// <summary>The ε of "adam_eps"; that of "adam" is 1e-8.</summary>
    public double LargeEpsilon { get; init; } = 3e-2;

    /// <summary>The learning rate at the end, as a share of that at the start, by a half cosine.</summary>
    public double FinalShare { get; init; } = 0.01;

    /// <summary>Steps between two lines of metrics.</summary>
    public int RecordEvery { get; init; } = 25;

    /// <summary>Steps between two checkpoints.</summary>
    public int CheckpointEvery { get; init; } = 250;

    private static ProblemSizes Periodic { get; } = new() {
        Name = PeriodicProblem.Title,
        Steps = 800,
        WarmUpSteps = 200,
        Hidden = 32,
        Points = 50,
        SgdRate = 0.03,
        AdamRate = 3e-3,
        LargeEpsilonRate = 3e-2,
        Rate = 0.03,
        Damp = 0.1,
    };

    private static ProblemSizes Linear { get; } = new() {
        Name = LinearProblem.Title,
        Steps = 800,
        WarmUpSteps = 50,
        Hidden = 8,
        Points = 200,
        SgdRate = 0.3,
        AdamRate = 1e-2,
        LargeEpsilonRate = 3e-2,
        Rate = 0.1,
        Damp = 0,
        Tolerance = 1e-6,
    };

    private static ProblemSizes Conservative { get; } = new() {
        Name = ConservativeProblem.Title,
        Steps = 600,
        WarmUpSteps = 450,
        Hidden = 32,
        Points = 32,
        SgdRate = 0.03,
        AdamRate = 3e-3,
        LargeEpsilonRate = 3e-2,
        Rate = 0.3,
        Damp = 0.01,
        Tolerance = 1e-2,
    };

    private static ProblemSizes Sparse { get; } = new() {
        Name = SparseProblem.Title,
        Steps = 800,
        WarmUpSteps = 300,
        Hidden = 64,
        Points = 128,
        SgdRate = 0.1,
        AdamRate = 1e-2,
        LargeEpsilonRate = 3e-2,
        Rate = 0.1,
        Damp = 0,
        Tolerance = 1e-6,
    };

    private static ProblemSizes Equivariant { get; } = new() {
        Name = EquivariantProblem.Title,
        Steps = 600,
        WarmUpSteps = 200,
        Hidden = 32,
        Points = 16,
        SgdRate = 0.1,
        AdamRate = 3e-3,
        LargeEpsilonRate = 3e-2,
        Rate = 0.1,
        Damp = 0.1,
        Tolerance = 1e-2,
    };

    /// <summary>The sizes of a preset.</summary>
    public static OrderSizes Of(string preset) => preset switch {
        "smoke" => new OrderSizes {
            Problems = [
                Periodic with { Steps = 150, WarmUpSteps = 100, Hidden = 16, Points = 20, Tolerance = 1e-2 },
                Linear with { Steps = 120, WarmUpSteps = 20, Hidden = 5, Points = 60 },
                Conservative with { Steps = 150, WarmUpSteps = 120, Points = 16 },
                Sparse with { Steps = 100, WarmUpSteps = 50, Hidden = 16, Points = 64 },
                Equivariant with { Steps = 100, WarmUpSteps = 60, Hidden = 16, Points = 8 },
            ],
        },
        "small" => new OrderSizes { Problems = [Periodic, Linear, Conservative, Sparse, Equivariant], Seeds = 3 },
        "paper" => new OrderSizes {
            Problems = [
                Periodic with { Steps = 20_000 },
                Linear with { Steps = 20_000, Hidden = 32, Points = 2000 },
                Conservative with { Steps = 6000, Hidden = 64, Points = 64 },
                Sparse with { Steps = 6000, WarmUpSteps = 3000, Hidden = 128 },
                Equivariant with { Steps = 6000, WarmUpSteps = 1500, Hidden = 96 },
            ],
            Seeds = 5,
            RecordEvery = 100,
        },
        _ => throw new ExperimentException($"The experiment has no preset '{preset}'."),
    };
}

/// <summary>The size of a problem, and what its networks are trained with.</summary>
internal sealed record ProblemSizes
{
    /// <summary>Which problem.</summary>
    public required string Name { get; init; }

    /// <summary>Steps of every network.</summary>
    public required int Steps { get; init; }

    /// <summary>Steps at the start that are the optimizer's own.</summary>
    public required int WarmUpSteps { get; init; }

    /// <summary>The network's width; of the linear problem, the side of W.</summary>
    public required int Hidden { get; init; }

    /// <summary>Points a step that the constraint holds at; of the linear problem, the points that W is fitted to; of the sparse one, those of a batch.</summary>
    public required int Points { get; init; }

    /// <summary>The learning rate of SGD.</summary>
    public required double SgdRate { get; init; }

    /// <summary>Of Adam with ε = 1e-8.</summary>
    public required double AdamRate { get; init; }

    /// <summary>Of Adam with the large ε.</summary>
    public required double LargeEpsilonRate { get; init; }

    /// <summary>κ: the share of c that a step removes.</summary>
    public required double Rate { get; init; }

    /// <summary>Damping of the solve, relative to the root mean square of the residuals.</summary>
    public required double Damp { get; init; }

    /// <summary>Relative tolerance of the solve.</summary>
    public double Tolerance { get; init; } = 1e-3;

    /// <summary>Iterations of a solve at most.</summary>
    public int MaxIterations { get; init; } = 50;
}
