namespace LsmrTorch;

/// <summary>The estimates after an iteration, as the recurrence has them; stop_when sees one after each.</summary>
/// <param name="Iteration">From 1.</param>
/// <param name="ResidualNorm">‖[b − A x; λ(x − x0)]‖; without damping ‖b − A x‖. Of several right-hand sides, here and below, the largest.</param>
/// <param name="NormalResidualNorm">‖Aᵀ(b − A x) − λ²(x − x0)‖.</param>
/// <param name="FrobeniusEstimate">SciPy's normA, which the stopping rules use: the Frobenius norm of the bidiagonal matrix, growing, in the end well over ‖A‖₂.</param>
/// <param name="ConditionEstimate">SciPy's condA: a lower bound of the condition of [A; λI], often well below it.</param>
/// <param name="SolutionNorm">‖x‖.</param>
/// <param name="Elapsed">Time since the solve began.</param>
public readonly record struct LsmrProgress(
    int Iteration, double ResidualNorm, double NormalResidualNorm, double FrobeniusEstimate, double ConditionEstimate,
    double SolutionNorm, TimeSpan Elapsed);
