using System.Text.Json.Serialization;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>Everything besides seed and device that decides what comes out.</summary>
internal sealed record ConservativenessSizes
{
    /// <summary>What the figures are of: "2d", or the name of a set of images.</summary>
    public string Of { get; init; } = "2d";

    /// <summary>The images and their network; null for densities in the plane.</summary>
    public ImageSizes? Images { get; init; }

    /// <summary>The smallest noise.</summary>
    public double LowNoise { get; init; } = 0.1;

    /// <summary>The largest noise.</summary>
    public double HighNoise { get; init; } = 3;

    /// <summary><see cref="PlaneTask.Names"/>, or that of the set of images.</summary>
    public IReadOnlyList<string> Densities { get; init; } = PlaneTask.Names;

    /// <summary>Runs of each density, with seeds that follow from the command line's.</summary>
    public int Seeds { get; init; } = 3;

    /// <summary>Width of the network 3-h-h-2.</summary>
    public int Hidden { get; init; } = 64;

    /// <summary>Noisy points a step of denoising score matching.</summary>
    public int Batch { get; init; } = 256;

    /// <summary>Points a step at which the score is to be a gradient; the penalty's are the same.</summary>
    public int Points { get; init; } = 64;

    /// <summary>Steps of every network.</summary>
    public required int Steps { get; init; }

    /// <summary>Steps at the start in which ours knows of no constraint.</summary>
    public required int WarmUpSteps { get; init; }

    /// <summary>Steps at the start without the penalty. It is cheap, and gains from the learning rates of the whole run.</summary>
    public required int PenaltyWarmUpSteps { get; init; }

    /// <summary>The last steps of the warm-up, in which the metric of ours takes its mean of squared gradients.</summary>
    public int MetricSteps { get; init; } = 100;

    /// <summary>Adam's learning rate at the start; it falls by a half cosine.</summary>
    public double LearningRate { get; init; } = 3e-3;

    /// <summary>The learning rate at the end, as a share of that at the start.</summary>
    public double FinalShare { get; init; } = 0.05;

    /// <summary>Adam's ε.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>What ours projects.</summary>
    public ProjectionOrder Order { get; init; } = ProjectionOrder.Metric;

    /// <summary>κ: the share of c that a step removes.</summary>
    public double Rate { get; init; } = 1;

    /// <summary>Whether κ falls as the learning rate does.</summary>
    public bool RateFalls { get; init; }

    /// <summary>β of the running mean of corrections; 0 for the last one alone.</summary>
    public double Smoothing { get; init; }

    /// <summary>Whether ours is held to the root mean square of c alone, which takes no solve.</summary>
    public bool OneResidual { get; init; }

    /// <summary>The last steps over which the weights are averaged; 0 for the weights of the last step.</summary>
    public int AveragedSteps { get; init; }

    /// <summary>Damping of the solve, relative to the root mean square of the residuals.</summary>
    public double Damp { get; init; } = 0.01;

    /// <summary>Ours projects every so many steps.</summary>
    public int Every { get; init; } = 1;

    /// <summary>How ours multiplies by J.</summary>
    public JacobianProducts Products { get; init; } = JacobianProducts.Derivatives;

    /// <summary>Relative tolerance of the solve.</summary>
    public double Tolerance { get; init; } = 1e-2;

    /// <summary>Iterations of a solve at most.</summary>
    public int MaxIterations { get; init; } = 20;

    /// <summary>λ of the penalty, a network for each.</summary>
    public IReadOnlyList<double> Penalties { get; init; } = [3, 30, 300];

    /// <summary>λ of one more network with a penalty, which takes <see cref="LongSteps"/> steps in each; none where that is 0.</summary>
    public double LongPenalty { get; init; } = 30;

    /// <summary>Its steps in one of the others, so that its run takes about as long as that of ours.</summary>
    public int LongSteps { get; init; } = 3;

    /// <summary>σ of each level of the test, increasing.</summary>
    [JsonIgnore]
    public double[] TestLevels => [.. Enumerable.Range(0, Levels).Select(i => LowNoise * Math.Pow(HighNoise / LowNoise, i / (double)Math.Max(1, Levels - 1)))];

    /// <summary>Noise levels of the test, from the lowest to the highest in equal ratios.</summary>
    public int Levels { get; init; } = 10;

    /// <summary>Test points at each level.</summary>
    public int TestPoints { get; init; } = 400;

    /// <summary>Random signs at each test point, by which the asymmetry is estimated; 0 for all of S.</summary>
    public int TestProbes { get; init; }

    /// <summary>Pairs of points at each level between which the log-density is integrated, at the end.</summary>
    public int Pairs { get; init; } = 50;

    /// <summary>Points of the quadrature in each leg of a path.</summary>
    public int Nodes { get; init; } = 40;

    /// <summary>Points drawn from each score of the first seed, for the pictures.</summary>
    public int Samples { get; init; } = 2000;

    /// <summary>Steps of the probability flow from the highest level to the lowest.</summary>
    public int FlowSteps { get; init; } = 60;

    /// <summary>Steps between two lines of metrics.</summary>
    public int RecordEvery { get; init; } = 50;

    /// <summary>Steps between two checkpoints.</summary>
    public int CheckpointEvery { get; init; } = 250;

    /// <summary>The sizes of a preset.</summary>
    public static ConservativenessSizes ForPlane(string preset) => preset switch {
        "smoke" => new ConservativenessSizes {
            Densities = ["eight-gaussians"],
            Seeds = 1,
            Hidden = 32,
            Batch = 128,
            Points = 32,
            Steps = 300,
            WarmUpSteps = 200,
            PenaltyWarmUpSteps = 100,
            Penalties = [1, 10],
            LongSteps = 3,
            RecordEvery = 25,
            TestPoints = 100,
            Samples = 500,
        },
        "small" => new ConservativenessSizes { Steps = 3000, WarmUpSteps = 2400, PenaltyWarmUpSteps = 300 },
        "paper" => new ConservativenessSizes {
            Hidden = 128,
            Batch = 5000,
            Points = 512,
            Steps = 6000,
            WarmUpSteps = 4500,
            PenaltyWarmUpSteps = 500,
            LearningRate = 7.5e-4,
            CheckpointEvery = 500,
        },
        _ => throw new ExperimentException($"The experiment has no preset '{preset}'."),
    };

    /// <summary>The sizes of a preset for a set of images.</summary>
    public static ConservativenessSizes ForImages(string preset, string set) => (preset switch {
        "smoke" => new ConservativenessSizes {
            Images = new ImageSizes { Side = 8, Width = 8, Multipliers = [1, 2], Blocks = 1 },
            Seeds = 1,
            Batch = 32,
            Points = 4,
            Steps = 80,
            WarmUpSteps = 20,
            PenaltyWarmUpSteps = 20,
            MetricSteps = 20,
            AveragedSteps = 10,
            Penalties = [10, 100],
            TestPoints = 8,
            TestProbes = 4,
            Samples = 12,
            RecordEvery = 10,
            CheckpointEvery = 40,
        },
        "small" => new ConservativenessSizes {
            Images = new ImageSizes { Side = 32, Width = 16, Multipliers = [1, 2, 2], Blocks = 1 },
            Seeds = 1,
            Batch = 16,
            Points = 4,
            Steps = 2000,
            WarmUpSteps = 200,
            PenaltyWarmUpSteps = 200,
            AveragedSteps = 200,
            Penalties = [1000, 3000, 10_000],
            TestPoints = 16,
            TestProbes = 4,
            Samples = 12,
            RecordEvery = 500,
            CheckpointEvery = 100,
        },
        "paper" => new ConservativenessSizes {
            Images = new ImageSizes { Side = 32, Width = 64, Multipliers = [1, 2, 2], Blocks = 2 },
            Batch = 128,
            Points = 32,
            Steps = 50_000,
            WarmUpSteps = 5000,
            PenaltyWarmUpSteps = 5000,
            AveragedSteps = 5000,
            LearningRate = 1e-3,
            Penalties = [1000, 3000, 10_000],
            TestPoints = 64,
            TestProbes = 16,
            Samples = 12,
            RecordEvery = 1000,
            CheckpointEvery = 500,
        },
        _ => throw new ExperimentException($"The experiment has no preset '{preset}'."),
    }) with {
        Of = set,
        Densities = [set],
        HighNoise = 10,
        OneResidual = true,
        Rate = 0.3,
        RateFalls = true,
        Smoothing = 0.9,
        Damp = 0,
        Products = JacobianProducts.Differences,
        LongSteps = 0,      // ours takes the time of a penalty
        Pairs = 0,
    };
}

/// <summary>Images, and the U-Net for them (see <see cref="Models.ScoreUNet"/>).</summary>
internal sealed record ImageSizes
{
    /// <summary>Pixels in a row.</summary>
    public required int Side { get; init; }

    public required long Width { get; init; }

    public required IReadOnlyList<long> Multipliers { get; init; }

    public required int Blocks { get; init; }
}
