using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>What LSMR solves besides A and b, and when it stops. Checked when the solve begins.</summary>
public sealed record LsmrOptions
{
    /// <summary>λ in ‖A x − b‖² + λ²‖x − x0‖²; not negative. Default 0.</summary>
    public Damping Damp { get; init; }

    /// <summary>
    /// x0, of the operator's InputShape; default zero. Damping then pulls towards x0, and of several solutions the one
    /// nearest to x0 is taken (SciPy does the same).
    /// </summary>
    public Tensor? Start { get; init; }

    /// <summary>Relative error of A that the answer may explain. Default 1e-6 (float32), 1e-10 (float64); at least 3 eps.</summary>
    public double? Atol { get; init; }

    /// <summary>Relative error of b that the answer may explain. Default 1e-6 (float32), 1e-10 (float64); at least 3 eps.</summary>
    public double? Btol { get; init; }

    /// <summary>
    /// Stops when the condition estimate passes this. Default 1e8; at most 1/(3 eps), which 0 and infinity stand for:
    /// no limit but that.
    /// </summary>
    public double ConditionLimit { get; init; } = 1e8;

    /// <summary>Default 20 min(m, n), at least 200.</summary>
    public int? MaxIterations { get; init; }

    /// <summary>Called after each iteration; an answer of true stops the solve with <see cref="LsmrStop.Requested"/>.</summary>
    public Func<LsmrProgress, bool>? StopWhen { get; init; }

    /// <summary>Cancels the solve between iterations with an <see cref="OperationCanceledException"/>.</summary>
    public CancellationToken CancellationToken { get; init; }

    /// <summary>
    /// An invertible P, of A's InputShape on both sides, for x = P y: LSMR iterates on A P, whose condition may be much better
    /// (<see cref="LsmrTorch.Preconditioner"/> makes them). The solution and its gradients are those without it, and no gradient
    /// reaches P. The tolerances then are those of the problem in y. Not for an undamped A with more columns than rows, nor with
    /// dependent columns, where it would change which of many solutions is found.
    /// </summary>
    public LinearOperator? Preconditioner { get; init; }

    /// <summary>
    /// The number w of past v that each new one is made orthogonal against; default 0. It costs w vectors of memory and 4wn to 8wn
    /// operations an iteration, and saves iterations where round-off costs them (the ill-conditioned). At most n.
    /// </summary>
    public int Reorthogonalise { get; init; }

    /// <summary>Solutions and gradients of earlier solves to begin from; held by the caller from step to step.</summary>
    public WarmStart? WarmStart { get; init; }

    /// <summary>
    /// Whether residuals are recomputed from x at the end, and a solve that claims more than they show goes on from its x or ends with
    /// <see cref="LsmrStop.NotConfirmed"/>; and whether <see cref="LsmrColumn.ErrorEstimate"/> is made. It costs two products, one read of a
    /// matrix for the norms of its rows and columns, and of a small operator that is no matrix at most min(m, n) products (64 at most).
    /// Default true.
    /// </summary>
    public bool Audit { get; init; } = true;

    /// <summary>How the backward pass solves, and what an unconverged solve means for it.</summary>
    public GradientOptions Gradient { get; init; } = new();

    internal void Validate() => Validate(nameof(Atol), nameof(Btol), nameof(ConditionLimit), nameof(MaxIterations));

    /// <summary>The same, with the names that the caller knows the options by.</summary>
    internal void Validate(string atol, string btol, string conditionLimit, string maxIterations)
    {
        Require.NonNegative(Atol ?? 0, atol);
        Require.NonNegative(Btol ?? 0, btol);
        if (ConditionLimit is not (0 or >= 1)) {
            throw new ArgumentException(
                $"{conditionLimit} must be at least 1, or 0 for no limit, but is {Text.Exact(ConditionLimit)}.",
                conditionLimit);
        }
        if (MaxIterations < 0)
            throw new ArgumentException($"{maxIterations} must not be negative, but is {MaxIterations}.",
                maxIterations);
        if (Reorthogonalise < 0)
            throw new ArgumentException($"Reorthogonalise must not be negative, but is {Reorthogonalise}.", nameof(Reorthogonalise));
        ArgumentNullException.ThrowIfNull(Gradient);
        Gradient.Validate();
    }
}

/// <summary>How gradients through a solution are computed.</summary>
public sealed record GradientOptions
{
    /// <summary>
    /// ‖Aᵀp + λ²w − g‖ relative to the incoming gradient g, at which the backward solve stops.
    /// Default 1e-6 (float32), 1e-12 (float64); at least 3 eps.
    /// </summary>
    public double? Tolerance { get; init; }

    /// <summary>
    /// With damping: the certified error of the gradients, relative to each (see <see cref="GradientReport"/>), to be reached.
    /// The forward and the backward solve go on until it is, and a backward pass that cannot have it in this precision counts as
    /// unconverged. Default: none, and the error is only reported.
    /// </summary>
    public double? ErrorTarget { get; init; }

    /// <summary>
    /// Whether A has independent columns (only asked of an undamped A with at least as many rows as columns, whose gradient is
    /// taken through a closure). Default null: measured in the forward pass by a short solve, which a promise saves.
    /// </summary>
    public bool? FullColumnRank { get; init; }

    /// <summary>For each backward solve. Default 20 min(m, n), at least 200.</summary>
    public int? MaxIterations { get; init; }

    /// <summary>What happens when the forward solve to be trained through, or a backward solve, does not converge. Default: it throws.</summary>
    public Unconverged WhenUnconverged { get; init; } = Unconverged.Throw;

    /// <summary>
    /// How often the solution can be differentiated, at least once. Default 1. From 2 on <c>create_graph: true</c> is allowed, an undamped
    /// operator must have full rank, there is no <see cref="LsmrResult.GradientReport"/>, and the solve records two products for each order. A first gradient costs one backward
    /// solve at any order; at order 2 a product with second derivatives costs one that records and two more.
    /// </summary>
    public int Order { get; init; } = 1;

    /// <summary>The tolerance in a dtype, with the default and the floor.</summary>
    internal double ToleranceIn(ScalarType dtype) => CraigmrOptions.ToleranceIn(dtype, Tolerance);

    internal void Validate()
    {
        Require.NonNegative(Tolerance ?? 0, nameof(Tolerance));
        if (ErrorTarget is double target && !(target > 0))
            throw new ArgumentException($"ErrorTarget must be over 0, but is {Text.Exact(target)}.", nameof(ErrorTarget));
        if (Order < 1)
            throw new ArgumentException($"Order must be at least 1, but is {Order}.", nameof(Order));
        if (MaxIterations < 0)
            throw new ArgumentException($"MaxIterations must not be negative, but is {MaxIterations}.", nameof(MaxIterations));
    }
}

/// <summary>What an unconverged solve means for gradients.</summary>
public enum Unconverged
{
    /// <summary>An exception: from the solve, or out of <c>backward()</c>.</summary>
    Throw,

    /// <summary>Gradients of NaN, and a warning.</summary>
    NaN,

    /// <summary>The gradients as far as they came.</summary>
    Accept,
}
