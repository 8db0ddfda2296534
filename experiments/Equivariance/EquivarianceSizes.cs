using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>Everything besides the command line that decides the figures of `equivariance`.</summary>
internal sealed record EquivarianceSizes
{
    /// <summary>Runs, with seeds counted up from that of the command line; the first has all networks, the others those that are compared with augmentation.</summary>
    public int Seeds { get; init; } = 3;

    /// <summary>Channels at the three resolutions.</summary>
    public required int[] Widths { get; init; }

    /// <summary>The same for a network whose constrained weights have about the freedom that the others' have: √8 times as wide.</summary>
    public required int[] WideWidths { get; init; }

    /// <summary>Training and test images that are generated where there are no real ones.</summary>
    public required int TrainImages { get; init; }

    public required int TestImages { get; init; }

    public required int BatchSize { get; init; }

    public required int Epochs { get; init; }

    /// <summary>The grid of the penalty's weight.</summary>
    public required double[] Penalties { get; init; }

    /// <summary>Highest learning rate of SGD, which rises to it in a tenth of the run and falls as a cosine.</summary>
    public double Peak { get; init; } = 0.05;

    /// <summary>
    /// The same for ours on the weights. Projected gradients are means over the eight symmetries, √8 times shorter where they are noise; weights shared by construction
    /// would take sums. The others gain nothing from it.
    /// </summary>
    public double WeightsPeak { get; init; } = 0.15;

    public double Momentum { get; init; } = 0.9;

    public double WeightDecay { get; init; } = 5e-4;

    /// <summary>Images on whose root mean square of f(gx) − f(x) the constraint on the function is asked, in a step.</summary>
    public int FunctionImages { get; init; } = 128;

    /// <summary>Its κ at the highest learning rate.</summary>
    public double FunctionRate { get; init; } = 0.05;

    /// <summary>Its β, that of the running mean of corrections.</summary>
    public double FunctionSmoothing { get; init; } = 0.9;

    /// <summary>Images on which it is asked of every logit, which takes a solve.</summary>
    public int EachImages { get; init; } = 32;

    /// <summary>κ of that at the highest learning rate.</summary>
    public double EachRate { get; init; } = 1;

    /// <summary>Its damping.</summary>
    public double EachDamp { get; init; } = 0.1;

    /// <summary>Its iterations at most.</summary>
    public int EachIterations { get; init; } = 8;

    /// <summary>Epochs after which the network is trained that it takes hold of late.</summary>
    public required int TrainedEpochs { get; init; }

    /// <summary>Descents of a narrow network with augmentation in a step of the others, so that it takes about the time of the wide one under the constraint.</summary>
    public required int EqualTimeDescents { get; init; }

    /// <summary>The sizes of a preset.</summary>
    public static EquivarianceSizes Of(string preset) => preset switch {
        "smoke" => new EquivarianceSizes {
            Seeds = 2,
            Widths = [8, 8, 16],
            WideWidths = [16, 24, 40],
            TrainImages = 256,
            TestImages = 128,
            BatchSize = 64,
            Epochs = 3,
            Penalties = [1],
            TrainedEpochs = 2,
            EqualTimeDescents = 3,
            FunctionImages = 16,
            EachImages = 8,
        },
        "small" => new EquivarianceSizes {
            Widths = [8, 16, 32],
            WideWidths = [24, 48, 88],
            TrainImages = 5120,
            TestImages = 1024,
            BatchSize = 128,
            Epochs = 12,
            Penalties = [0.1, 1, 3, 10],
            TrainedEpochs = 6,
            EqualTimeDescents = 5,
        },
        "paper" => new EquivarianceSizes {
            Widths = [64, 128, 256],
            WideWidths = [184, 360, 728],
            TrainImages = 50000,
            TestImages = 10000,
            BatchSize = 128,
            Epochs = 200,
            Penalties = [0.01, 0.1, 1, 10],
            TrainedEpochs = 100,
            EqualTimeDescents = 7,
        },
        _ => throw new ExperimentException($"equivariance has no preset '{preset}', only smoke, small and paper."),
    };
}
