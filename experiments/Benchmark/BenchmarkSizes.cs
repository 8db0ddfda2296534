using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>A dense matrix.</summary>
/// <param name="Rows">m.</param>
/// <param name="Columns">n.</param>
/// <param name="IsFloat32">float32, or float64.</param>
/// <param name="Limits">Iterations that time is taken between.</param>
/// <param name="BesideLstsq">Whether a whole solve is timed beside torch.linalg.lstsq.</param>
internal sealed record DenseSize(int Rows, int Columns, bool IsFloat32, Limits Limits, bool BesideLstsq = false)
{
    /// <summary>As figures name it.</summary>
    public string Name => $"dense_{Rows}x{Columns}_{(IsFloat32 ? "f32" : "f64")}";
}

/// <summary>A generated CSR matrix with ten entries a row and half as many columns as rows.</summary>
internal sealed record CsrSize(int Entries, Limits Limits)
{
    /// <summary>As figures name it, such as csr_1e5.</summary>
    public string Name => $"csr_{Entries:0e+0}".Replace("e+", "e", StringComparison.Ordinal);
}

/// <summary>Everything besides seed and device that decides what is measured.</summary>
internal sealed record BenchmarkSizes
{
    /// <summary>How often every method has its turn.</summary>
    public required int Rounds { get; init; }

    /// <summary>The same for matrices from <see cref="LargeBytes"/> on.</summary>
    public required int LargeRounds { get; init; }

    /// <summary>How long a turn takes about, where one solve is not longer.</summary>
    public required double TurnSeconds { get; init; }

    /// <summary>How long each method runs before it is timed: a compiler that works in the background needs a tenth of a second.</summary>
    public double WarmUpSeconds { get; init; } = 0.3;

    public required IReadOnlyList<DenseSize> Dense { get; init; }

    public required IReadOnlyList<CsrSize> Csr { get; init; }

    /// <summary>The side of the image that is convolved.</summary>
    public required int ImageSide { get; init; }

    /// <summary>Layers of the network whose Jacobian is used.</summary>
    public required int NetworkDepth { get; init; }

    /// <summary>Images in its batch.</summary>
    public required int NetworkImages { get; init; }

    /// <summary>The matrix that several right-hand sides are solved with.</summary>
    public required DenseSize Shared { get; init; }

    /// <summary>Bytes of the tensor that is copied.</summary>
    public required long CopyBytes { get; init; }

    /// <summary>How many right-hand sides.</summary>
    public IReadOnlyList<int> RightHandSides { get; init; } = [1, 8, 64];

    /// <summary>n of the closures whose overhead is measured.</summary>
    public int ClosureSize { get; init; } = 1000;

    /// <summary>From here on <see cref="LargeRounds"/>.</summary>
    public long LargeBytes { get; init; } = 100_000_000;

    /// <summary>The Python interpreter of the other solvers; null tries /usr/bin/python3 and then python3.</summary>
    public string? Python { get; init; }

    public int RoundsOf(long bytes) => bytes < LargeBytes ? Rounds : LargeRounds;

    /// <summary>The sizes of a preset.</summary>
    public static BenchmarkSizes Of(string preset) => preset switch {
        "smoke" => new BenchmarkSizes {
            Rounds = 3,
            LargeRounds = 3,
            TurnSeconds = 0.02,
            WarmUpSeconds = 0.1,
            Dense = [new(40, 20, false, new(3, 9), true), new(20, 40, false, new(3, 9)), new(60, 30, true, new(2, 8))],
            Csr = [new(1000, new(5, 15))],
            ImageSide = 16,
            NetworkDepth = 8,
            NetworkImages = 2,
            Shared = new(60, 30, false, new(3, 9)),
            CopyBytes = 1 << 20,
        },
        "small" => new BenchmarkSizes {
            Rounds = 11,
            LargeRounds = 7,
            TurnSeconds = 0.1,
            Dense = [
                new(200, 100, false, new(20, 120), true), new(2000, 1000, false, new(10, 60), true), new(8000, 4000, false, new(3, 15)),
                new(4000, 8000, false, new(3, 15)), new(20000, 2000, false, new(3, 15), true), new(8000, 4000, true, new(3, 21)),
            ],
            Csr = [new(100_000, new(5, 25)), new(1_000_000, new(3, 13)), new(10_000_000, new(1, 4))],
            ImageSide = 256,
            NetworkDepth = 20,
            NetworkImages = 8,
            Shared = new(8000, 4000, false, new(2, 7)),
            CopyBytes = 1 << 28,
        },
        "paper" => Of("small") with {
            Rounds = 25,
            LargeRounds = 11,
            TurnSeconds = 0.3,
            Dense = [.. Of("small").Dense, new(16000, 8000, false, new(3, 15)), new(40000, 4000, false, new(3, 15)), new(16000, 8000, true, new(3, 15))],
        },
        _ => throw new ExperimentException($"benchmark has no preset '{preset}'."),
    };
}
