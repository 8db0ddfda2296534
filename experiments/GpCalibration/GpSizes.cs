using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>Everything besides seed, data and device that decides what comes out.</summary>
internal sealed record GpSizes
{
    /// <summary>The kernel unless another is asked for.</summary>
    public const string FirstKernel = "matern32";

    /// <summary>The UCI sets that are looked for in --data.</summary>
    public IReadOnlyList<string> Sets { get; init; } =
        ["yacht", "autompg", "energy", "concrete", "airfoil", "wine", "elevators", "bike", "kin40k", "protein"];

    /// <summary>The sets that are generated without --data.</summary>
    public required IReadOnlyList<GeneratedSet> Generated { get; init; }

    /// <summary>Splits into training and test examples, at most the ten of the masks.</summary>
    public required int Splits { get; init; }

    /// <summary>The same for sets of which a step does not use all training examples.</summary>
    public required int SplitsOfMany { get; init; }

    /// <summary>Splits of the exact marginal likelihood where it does not finish; further ones would say the same.</summary>
    public int UnfinishedSplits { get; init; } = 1;

    /// <summary>Splits of ours with the exact kernel.</summary>
    public required int ExactKernelSplits { get; init; }

    /// <summary>Splits of ours with the log density as its loss.</summary>
    public required int DensitySplits { get; init; }

    /// <summary>squared-exponential, matern32 or matern52.</summary>
    public string Kernel { get; init; } = FirstKernel;

    /// <summary>D, the same for ours and for the marginal likelihood in feature space.</summary>
    public required int Features { get; init; }

    /// <summary>Steps of Adam, the same for every method.</summary>
    public required int Steps { get; init; }

    /// <summary>Of Adam, the same for every method.</summary>
    public double LearningRate { get; init; } = 0.05;

    /// <summary>The training examples are cut into so many folds, each of which is predicted from the others in a step.</summary>
    public int Folds { get; init; } = 3;

    /// <summary>The same for the examples of a step where it does not use all.</summary>
    public int FoldsOfMany { get; init; } = 2;

    /// <summary>Held-back examples of each fold of which ours_nlpd has the variances in a step.</summary>
    public int Variances { get; init; } = 64;

    /// <summary>Relative tolerance of the solves for them; their error is of second order in it.</summary>
    public double VarianceTolerance { get; init; } = 1e-3;

    /// <summary>Examples that a step of the methods with features uses, chosen anew for each where there are more.</summary>
    public int RowsPerStep { get; init; } = 5120;

    /// <summary>Training examples from which on the methods with features compute in float32.</summary>
    public int SinglePrecisionFrom { get; init; } = 4000;

    /// <summary>Entries of a matrix of features that is kept whole; larger ones are computed by row blocks in each product.</summary>
    public long MostEntries { get; init; } = RandomFeatures.MostEntries;

    /// <summary>Relative tolerance of ours' solves.</summary>
    public double Tolerance { get; init; } = 1e-4;

    /// <summary>Relative tolerance of their backward solves.</summary>
    public double GradientTolerance { get; init; } = 1e-2;

    /// <summary>Steps after which ours makes its preconditioner anew; 0 for none.</summary>
    public int PreconditionerEvery { get; init; } = 5;

    /// <summary>Iterations of each solve at most; what is reached then is taken.</summary>
    public int MaxIterations { get; init; } = 300;

    /// <summary>Training examples up to which ours runs with the exact kernel too.</summary>
    public int ExactKernelUpTo { get; init; } = 4000;

    /// <summary>Seconds after which a method's steps end.</summary>
    public required double LimitSeconds { get; init; }

    /// <summary>Bytes that the exact marginal likelihood may take for its n × n matrices.</summary>
    public double MemoryLimit { get; init; } = 8e9;

    /// <summary>Loss and test error are looked at, off the clock, after so many steps.</summary>
    public int MonitorEvery { get; init; } = 5;

    /// <summary>Numbers of features at which a step of ours and of the marginal likelihood in feature space are timed.</summary>
    public required IReadOnlyList<int> SweepFeatures { get; init; }

    /// <summary>Examples of that.</summary>
    public required int SweepRows { get; init; }

    /// <summary>The sizes of a preset.</summary>
    public static GpSizes Of(string preset) => preset switch {
        "smoke" => new GpSizes {
            Sets = ["yacht", "autompg"],
            Generated = [new("waves", 120, 3, 0.1), new("ridge", 1150, 4, 0.2)],
            Splits = 2,
            SplitsOfMany = 1,
            ExactKernelSplits = 1,
            DensitySplits = 1,
            Features = 32,
            Steps = 10,
            LimitSeconds = 20,
            SweepFeatures = [32, 128],
            SweepRows = 256,
        },
        "small" => new GpSizes {
            Generated = [new("waves", 300, 4, 0.05), new("ridge", 1200, 6, 0.2), new("dunes", 20000, 8, 0.2)],
            Splits = 3,
            SplitsOfMany = 2,
            ExactKernelSplits = 3,
            DensitySplits = 2,
            Features = 512,
            Steps = 120,
            LimitSeconds = 120,
            SweepFeatures = [256, 512, 1024, 2048, 4096, 8192],
            SweepRows = 8192,
        },
        _ => new GpSizes {
            Generated = [new("waves", 300, 4, 0.05), new("ridge", 1200, 6, 0.2), new("dunes", 40000, 8, 0.2)],
            Splits = 10,
            SplitsOfMany = 10,
            ExactKernelSplits = 10,
            DensitySplits = 10,
            Features = 2048,
            Steps = 300,
            RowsPerStep = 20480,
            LimitSeconds = 3600,
            MemoryLimit = 64e9,
            SweepFeatures = [256, 512, 1024, 2048, 4096, 8192],
            SweepRows = 40960,
        },
    };
}

/// <summary>A set for machines without the UCI sets.</summary>
internal sealed record GeneratedSet(string Name, int Count, int Inputs, double Noise);
