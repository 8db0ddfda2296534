namespace LsmrTorch;

/// <summary>The estimates after an iteration, as the recurrence has them; stop_when sees one after each.</summary>
/// <param name="Iteration">From 1.</param>
/// <param name="ResidualNorm">‖[b − A x; λ(x − x0)]‖; without damping ‖b − A x‖.</param>
/// <param name="NormalResidualNorm">‖Aᵀ(b − A x) − λ²(x − x0)‖.</param>
/// <param name="NormEstimate">A growing estimate of the Frobenius norm of [A; λI] from the bidiagonal's entries.</param>
/// <param name="ConditionEstimate">A lower bound of the condition of [A; λI], often well below it.</param>
/// <param name="SolutionNorm">‖x‖.</param>
/// <param name="Elapsed">Time since the solve began.</param>
public readonly record struct LsmrProgress(
    int Iteration, double ResidualNorm, double NormalResidualNorm, double NormEstimate, double ConditionEstimate,
    double SolutionNorm, TimeSpan Elapsed);
