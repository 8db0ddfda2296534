namespace LsmrTorch.Experiments.Periodic;

/// <summary>How far a run has come and what it has seen: the part of a checkpoint that is not tensors.</summary>
internal sealed class PeriodicState
{
    /// <summary>Steps that every network has done.</summary>
    public int Step { get; set; }

    /// <summary>One record per network every few steps.</summary>
    public List<StepRecord> Steps { get; init; } = [];

    /// <summary>The solves of ours in the same steps, after the warm-up.</summary>
    public List<SolveRecord> Solves { get; init; } = [];

    /// <summary>Seconds that these steps took, by network, after the warm-up.</summary>
    public Dictionary<string, List<double>> StepSeconds { get; init; } = [];
}

/// <summary>A network after a step: the loss before it (the penalty counted), and its errors on the fine grid.</summary>
internal sealed record StepRecord(
    string Network, int Step, double Loss, double RmseInside, double RmseOutside, double ConstraintNorm);

/// <summary>
/// The solve of a step of ours: ‖c‖/√k before the step and as it should be after it, iterations, the estimate of J's
/// condition (damped), why the solve ended.
/// </summary>
internal sealed record SolveRecord(int Step, double Norm, double Predicted, int Iterations, double Condition, string Stop);
