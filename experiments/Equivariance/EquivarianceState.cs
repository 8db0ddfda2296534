namespace LsmrTorch.Experiments.Equivariance;

/// <summary>How far a run has come and what it has seen: the part of a checkpoint that is not tensors.</summary>
internal sealed class EquivarianceState
{
    /// <summary>Seeds that are done.</summary>
    public int Seed { get; set; }

    /// <summary>Epochs that every network of the present seed has done.</summary>
    public int Epoch { get; set; }

    /// <summary>One record per seed, epoch and network.</summary>
    public List<EpochRecord> Epochs { get; init; } = [];

    /// <summary>Seconds of training that each network of the first seed has had after each epoch.</summary>
    public Dictionary<string, List<double>> Seconds { get; init; } = [];

    /// <summary>Seconds of each step, by network.</summary>
    public Dictionary<string, List<double>> StepSeconds { get; init; } = [];

    /// <summary>How many numbers of each network's weights are free.</summary>
    public Dictionary<string, long> Freedom { get; init; } = [];
}

/// <summary>
/// A network after an epoch: mean loss, share of test images right as they are and under random symmetries, ‖f(gx) − f(x)‖/‖f(x)‖ over them; of the
/// last projected step ‖c‖/√k and iterations.
/// </summary>
/// <param name="Seed">Counted from 0.</param>
internal sealed record EpochRecord(
    int Seed, string Network, int Epoch, double Loss, double Accuracy, double TransformedAccuracy, double EquivarianceError,
    double? ConstraintNorm, int? Iterations);
