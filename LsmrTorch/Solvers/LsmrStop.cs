namespace LsmrTorch;

/// <summary>Why LSMR stopped, and what to try next.</summary>
public enum LsmrStop
{
    /// <summary>The start (x0, or zero) is a solution: b − A x0 = 0 or Aᵀ(b − A x0) = 0. Nothing was iterated.</summary>
    StartIsSolution,

    /// <summary>A x = b holds to the tolerances: ‖r‖ ≤ btol ‖b‖ + atol ‖A‖ ‖x‖.</summary>
    Residual,

    /// <summary>x minimises to the tolerance: ‖Aᵀr − λ²(x − x0)‖ ≤ atol ‖A‖ ‖r‖.</summary>
    LeastSquares,

    /// <summary>
    /// The condition estimate of [A; λI] passed the limit: what more iterations would add is mostly noise. Use damping,
    /// scale the columns, or raise the condition limit (float64 before that).
    /// </summary>
    IllConditioned,

    /// <summary>The iteration limit came first. Allow more iterations, loosen the tolerances, or use damping.</summary>
    IterationLimit,

    /// <summary>The caller's stop_when said so.</summary>
    Requested,

    /// <summary>
    /// The recurrence met a tolerance, but what is recomputed from x does not, and to solve on from x did not help: a row or a column that
    /// is small beside others is not fitted, ⟨A x, r⟩ is not ⟨x, Aᵀr⟩ (the products are inexact, or the transpose is none, which
    /// <see cref="LinearOperator.Verify"/> tells), or round-off of an ill-conditioned A stood in the way; or A is small and
    /// its entries show that x has not two digits. Scale rows and columns, use a preconditioner, damping or float64, or loosen the
    /// tolerances.
    /// </summary>
    NotConfirmed,

    /// <summary>
    /// b, A v or Aᵀu held NaN or infinity, or overflowed in this dtype. The solution is filled with NaN, so that nothing
    /// built on it passes for a number. Look at b and at the operator's products; rescale, or use float64.
    /// </summary>
    NonFinite,
}
