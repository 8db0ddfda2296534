namespace LsmrTorch.Experiments.Inertia;

/// <summary>How far a run has come and what it has seen: the part of a checkpoint that is not tensors.</summary>
internal sealed class InertiaState
{
    /// <summary>Steps done, of all problems together.</summary>
    public int Step { get; set; }

    /// <summary>One per network every few steps and at the end.</summary>
    public List<InertiaRecord> Records { get; init; } = [];

    /// <summary>Seconds that a step took after the warm-up, by network.</summary>
    public Dictionary<string, List<double>> StepSeconds { get; init; } = [];
}

/// <summary>
/// A network after a step: its training loss, the relative errors on test points as they are and transformed, the equivariance error there, the error on transformed
/// held-out points; of the last projected step ‖c‖/√k and iterations.
/// </summary>
internal sealed record InertiaRecord(
    int Points, int Seed, string Network, int Step, double Loss, double Error, double Transformed, double Equivariance, double HeldOut,
    double? ConstraintNorm, int? Iterations);
