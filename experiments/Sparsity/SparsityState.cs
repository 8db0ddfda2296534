namespace LsmrTorch.Experiments.Sparsity;

/// <summary>How far a run has come and what it has seen: the part of a checkpoint that is not tensors.</summary>
internal sealed class SparsityState
{
    /// <summary>The phase that trains the network that all others start from.</summary>
    public const string Dense = "dense";

    /// <summary>The phase of the four continuations.</summary>
    public const string Further = "further";

    public string Phase { get; set; } = Dense;

    /// <summary>Epochs of the phase that are done.</summary>
    public int Epoch { get; set; }

    /// <summary>The dense network's accuracy at its end; null before.</summary>
    public double? DenseAccuracy { get; set; }

    /// <summary>One record per network and epoch.</summary>
    public List<EpochRecord> Epochs { get; init; } = [];

    /// <summary>The constraint of ours before every step.</summary>
    public List<ConstraintRecord> Constraint { get; init; } = [];

    /// <summary>Seconds of every step of the continuations, by network.</summary>
    public Dictionary<string, List<double>> StepSeconds { get; init; } = [];
}

/// <summary>A network after an epoch; <see cref="Zeros"/> is the share of its weights that are exactly zero.</summary>
internal sealed record EpochRecord(
    string Phase, string Network, int Epoch, double LearningRate,
    double Loss, double TrainAccuracy, double TestAccuracy, double Zeros);

/// <summary>‖c‖/√k before a step and what the step should make of it, the share of chosen weights, the rate κ.</summary>
internal sealed record ConstraintRecord(
    int Step, double Norm, double Predicted, double Share, double Rate, int Iterations, string Stop);
