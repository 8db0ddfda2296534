namespace LsmrTorch.Experiments.FineTune;

/// <summary>How far a run has come and what it has seen: the part of a checkpoint that is not tensors.</summary>
internal sealed class FineTuneState
{
    public int Step { get; set; }

    public List<FineTuneRecord> Records { get; init; } = [];

    public List<FineTuneEnd> Ends { get; init; } = [];
}

/// <summary>A step of a network: the loss before it, its seconds, and ‖c‖/√k before it where there is a constraint.</summary>
internal sealed record FineTuneRecord(string Network, int Step, double Loss, double Seconds, double? ConstraintNorm);

/// <summary>A network at its end: the share of test images that is right, and the share of weights that are zero.</summary>
internal sealed record FineTuneEnd(string Network, double Accuracy, double Zeros);
