namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>How far a run has come and what it has seen: the part of a checkpoint that is not tensors.</summary>
internal sealed class OrderState
{
    /// <summary>Problems that are done, each counted once for every seed.</summary>
    public int Problem { get; set; }

    /// <summary>Steps done in the present one.</summary>
    public int Step { get; set; }

    /// <summary>One record per network every few steps.</summary>
    public List<OrderRecord> Records { get; init; } = [];

    /// <summary>Networks whose numbers were none any more, with the step.</summary>
    public List<OrderDivergence> Divergences { get; init; } = [];
}

/// <summary>
/// A network after a step: of which seed, counted from 0, the problem's loss, the size of c, the third measure, and of a projected step the iterations of its solve
/// and the estimate of J's condition.
/// </summary>
internal sealed record OrderRecord(
    string Problem, int Seed, string Optimizer, string Order, int Step, double Loss, double Constraint, string? OtherName, double? Other, int? Iterations, double? Condition);

/// <summary>A network that diverged.</summary>
internal sealed record OrderDivergence(string Problem, int Seed, string Optimizer, string Order, int Step);
