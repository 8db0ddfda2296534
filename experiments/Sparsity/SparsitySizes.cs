using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>Everything besides the command line that decides the figures of `sparsity`.</summary>
internal sealed record SparsitySizes
{
    /// <summary>Layers of the network: 6n + 2, of a wide one 6n + 4.</summary>
    public required int Depth { get; init; }

    /// <summary>How many times as wide as the plain one a wide residual network is (WRN-28-10 has 10); 0 for a plain ResNet.</summary>
    public int Width { get; init; }

    /// <summary>Training images that are generated where there are no real ones.</summary>
    public required int TrainImages { get; init; }

    /// <summary>Test images that are generated where there are no real ones.</summary>
    public required int TestImages { get; init; }

    public required int BatchSize { get; init; }

    /// <summary>Epochs of the dense network that all others start from.</summary>
    public required int DenseEpochs { get; init; }

    /// <summary>Epochs of each continuation.</summary>
    public required int FurtherEpochs { get; init; }

    /// <summary>Share of the weights that must vanish.</summary>
    public double Share { get; init; } = 0.9;

    /// <summary>Part of a continuation during which the share rises.</summary>
    public double RampPart { get; init; } = 0.5;

    /// <summary>Part of a continuation, the last of the ramp, during which the rate of ours rises to 1.</summary>
    public double RisePart { get; init; } = 0.1;

    /// <summary>Whether ours chooses in each layer by a share of that layer's own, in place of ranking all weights together.</summary>
    public bool PerLayer { get; init; }

    /// <summary>Steps between two choices of the smallest weights.</summary>
    public int ChooseEvery { get; init; } = 5;

    /// <summary>The rate κ of ours during the ramp: c shrinks by 1 − κ a step.</summary>
    public double Rate { get; init; } = 0.1;

    /// <summary>Highest learning rate of the dense network.</summary>
    public double DensePeak { get; init; } = 0.1;

    /// <summary>Highest learning rate of the continuations.</summary>
    public double FurtherPeak { get; init; } = 0.05;

    public double Momentum { get; init; } = 0.9;

    public double WeightDecay { get; init; } = 5e-4;

    /// <summary>Batches that pass through a finished network so that its batch statistics fit its weights.</summary>
    public int SettleBatches { get; init; } = 10;

    /// <summary>The sizes of a preset.</summary>
    public static SparsitySizes Of(string preset) => preset switch {
        "smoke" => new SparsitySizes {
            Depth = 8,
            TrainImages = 960,
            TestImages = 400,
            BatchSize = 64,
            DenseEpochs = 9,
            FurtherEpochs = 5,
            ChooseEvery = 2,
        },
        "small" => new SparsitySizes {
            Depth = 20,
            TrainImages = 5120,
            TestImages = 1024,
            BatchSize = 128,
            DenseEpochs = 26,
            FurtherEpochs = 8,
        },
        "paper" => new SparsitySizes {
            Depth = 28,
            Width = 10,
            TrainImages = 50000,
            TestImages = 10000,
            BatchSize = 128,
            DenseEpochs = 200,
            FurtherEpochs = 100,
        },
        _ => throw new ExperimentException($"sparsity has no preset '{preset}', only smoke, small and paper."),
    };

    /// <summary>Its name in titles: ResNet-20, WRN-28-10.</summary>
    public string NameOfNetwork() => Width == 0 ? $"ResNet-{Depth}" : $"WRN-{Depth}-{Width}";

    /// <summary>The network for ten classes, its weights drawn from the seed.</summary>
    public nn.Module<Tensor, Tensor> NewNetwork(long seed) => Width == 0 ? new ResNet(Depth, classes: 10, seed) : new WideResNet(Depth, Width, classes: 10, seed);
}
