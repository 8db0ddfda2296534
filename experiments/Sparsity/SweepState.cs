namespace LsmrTorch.Experiments.Sparsity;

/// <summary>What a sweep goes on from: finished cells, and the dense network of the seed that it is at (in the checkpoint's tensors).</summary>
internal sealed class SweepState
{
    /// <summary>The seed that is being worked on, counted from 0.</summary>
    public int Seed { get; set; }

    /// <summary>Cells of it that are done; −1 while its dense network is not trained.</summary>
    public int Cells { get; set; } = -1;

    /// <summary>Accuracy of each seed's dense network on test and held-out images.</summary>
    public List<double> DenseAccuracies { get; init; } = [];

    public List<SweepResult> Results { get; init; } = [];
}
