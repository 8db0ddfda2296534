namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>How far a run has come and what it has seen: the part of a checkpoint that is not tensors.</summary>
internal sealed class ConservativenessState
{
    /// <summary>Steps done, of all fields together.</summary>
    public int Step { get; set; }

    /// <summary>One record per network every few steps.</summary>
    public List<FieldRecord> Records { get; init; } = [];

    /// <summary>One per network and field, at its end.</summary>
    public List<FieldEnd> Ends { get; init; } = [];

    /// <summary>The solves of ours in the recorded steps.</summary>
    public List<FieldSolve> Solves { get; init; } = [];

    /// <summary>Seconds that the recorded steps took, by network, after the warm-up.</summary>
    public Dictionary<string, List<double>> StepSeconds { get; init; } = [];
}

/// <summary>A network after a step: the training loss before it (the penalty counted), the test's loss and asymmetry over all levels.</summary>
internal sealed record FieldRecord(string Density, int Seed, string Network, int Step, double TrainingLoss, double Loss, double Asymmetry);

/// <summary>A network at its end: the test's numbers at each noise level.</summary>
internal sealed record FieldEnd(string Density, int Seed, string Network, double[] Losses, double[] Asymmetries, double AsymmetryError, double[] PathDependence);

/// <summary>
/// The solve of a step of ours: ‖c‖/√k before the step and as it should be after it, the sizes of the optimizer's step and of what the
/// constraint changed, iterations, the estimate of J's condition (damped), why the solve ended.
/// </summary>
internal sealed record FieldSolve(
    string Density, int Seed, int Step, double Norm, double Predicted, double StepNorm, double CorrectionNorm, int Iterations, double Condition, string Stop);
