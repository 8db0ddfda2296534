using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>Everything besides the command line that decides the figures of `inertia`.</summary>
internal sealed record InertiaSizes
{
    /// <summary>Training points: few, and many.</summary>
    public required int FewPoints { get; init; }

    public required int ManyPoints { get; init; }

    /// <summary>Points held out to choose the penalty's weight by.</summary>
    public required int HeldOutPoints { get; init; }

    public required int TestPoints { get; init; }

    /// <summary>For each number of training points.</summary>
    public required int Seeds { get; init; }

    /// <summary>Width of the plain network.</summary>
    public required int Hidden { get; init; }

    /// <summary>Scalars and vectors in a hidden layer of the network for W.</summary>
    public required int Scalars { get; init; }

    public required int Vectors { get; init; }

    public required int Steps { get; init; }

    public required int BatchSize { get; init; }

    /// <summary>The grid of the penalty's weight.</summary>
    public double[] Penalties { get; init; } = [0.01, 0.1, 1, 10];

    /// <summary>Descents in a step that take augmentation about the time of a step of f, as was measured.</summary>
    public required int FunctionTimeDescents { get; init; }

    /// <summary>The same for the penalty, whose step costs about twice as much.</summary>
    public required int FunctionTimePenaltyDescents { get; init; }

    /// <summary>Descents in a step that take augmentation about the time of a step of w.</summary>
    public required int WeightsTimeDescents { get; init; }

    /// <summary>The same for the network of scalars and vectors.</summary>
    public required int WeightsTimeTensorDescents { get; init; }

    /// <summary>The penalty's weight there.</summary>
    public double FunctionTimePenalty { get; init; } = 1;

    /// <summary>Of Adam; it falls as a cosine.</summary>
    public double LearningRate { get; init; } = 1e-2;

    /// <summary>The same for the network of scalars and vectors, with the constraint and without.</summary>
    public double TensorLearningRate { get; init; } = 3e-2;

    /// <summary>Points on which f's constraint is asked in a step, nine residuals each.</summary>
    public int FunctionPoints { get; init; } = 16;

    /// <summary>Steps before it.</summary>
    public required int FunctionWarmUp { get; init; }

    public double FunctionRate { get; init; } = 0.1;

    public double FunctionDamp { get; init; } = 0.1;

    public int FunctionIterations { get; init; } = 8;

    /// <summary>Tolerance of w's solves. What a step leaves of the constraint the next one takes, so that it need not be small.</summary>
    public double WeightsTolerance { get; init; } = 1e-2;

    public required int RecordEvery { get; init; }

    public required int CheckpointEvery { get; init; }

    /// <summary>The sizes of a preset.</summary>
    public static InertiaSizes Of(string preset) => preset switch {
        "smoke" => new InertiaSizes {
            FewPoints = 50,
            ManyPoints = 400,
            HeldOutPoints = 100,
            TestPoints = 200,
            Seeds = 2,
            Hidden = 32,
            Scalars = 8,
            Vectors = 8,
            Steps = 60,
            BatchSize = 50,
            FunctionTimeDescents = 5,
            FunctionTimePenaltyDescents = 3,
            WeightsTimeDescents = 15,
            WeightsTimeTensorDescents = 7,
            FunctionWarmUp = 15,
            RecordEvery = 15,
            CheckpointEvery = 30,
        },
        "small" => new InertiaSizes {
            FewPoints = 200,
            ManyPoints = 5000,
            HeldOutPoints = 1000,
            TestPoints = 1000,
            Seeds = 3,
            Hidden = 96,
            Scalars = 16,
            Vectors = 16,
            Steps = 1000,
            BatchSize = 128,
            FunctionTimeDescents = 5,
            FunctionTimePenaltyDescents = 3,
            WeightsTimeDescents = 15,
            WeightsTimeTensorDescents = 7,
            FunctionWarmUp = 200,
            RecordEvery = 100,
            CheckpointEvery = 100,
        },
        "paper" => new InertiaSizes {
            FewPoints = 200,
            ManyPoints = 5000,
            HeldOutPoints = 2000,
            TestPoints = 5000,
            Seeds = 5,
            Hidden = 384,
            Scalars = 64,
            Vectors = 64,
            Steps = 10000,
            BatchSize = 500,
            FunctionTimeDescents = 5,
            FunctionTimePenaltyDescents = 3,
            WeightsTimeDescents = 15,
            WeightsTimeTensorDescents = 7,
            FunctionWarmUp = 1000,
            RecordEvery = 500,
            CheckpointEvery = 500,
        },
        _ => throw new ExperimentException($"inertia has no preset '{preset}', only smoke, small and paper."),
    };
}
