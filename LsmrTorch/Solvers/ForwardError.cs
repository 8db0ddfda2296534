using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// How far a computed x is from the solution, relative to ‖x‖. The distance is δ = argmin ‖A δ − r‖² + λ²‖δ + d‖², the correction
/// that another, exact solve from x would make, with r = b − A x and d = x − x0.
/// Here from norms alone: ‖δ‖ ≤ ‖Aᵀr − λ²d‖ / σ², and ≤ ‖[r; −λd]‖ / σ, for the smallest singular value σ of [A; λI] (on A's row
/// space if λ = 0), for which that of the bidiagonal matrix stands. It lies over σ, so that this is an estimate, and no bound.
/// <see cref="SmallProblem"/> has δ by dense algebra.
/// </summary>
internal static class ForwardError
{
    /// <summary>δ for every column of x, by norms.</summary>
    /// <param name="run">A solve, with its estimates of A's singular values.</param>
    /// <param name="finding">The residuals of its x.</param>
    /// <param name="bNorms">‖b‖ of each column.</param>
    /// <param name="damp">λ.</param>
    /// <param name="dtype">Of x.</param>
    /// <param name="preconditioned">‖A‖ and ‖P‖ where the solve had a preconditioner P, and its estimates are those of [A; λI] P.</param>
    public static double[] ByNorms(LsmrResult run, SolveAudit.Finding finding, double[] bNorms, double damp, ScalarType dtype,
        (double A, double P)? preconditioned)
    {
        double norm = preconditioned?.A ?? run.NormEstimate;
        double largest = preconditioned is null ? double.Hypot(run.NormEstimate, damp) : run.NormEstimate / preconditioned.Value.P;
        double smallest = largest / run.ConditionEstimate;
        double unit = 4 * Vectors.Epsilon(dtype);
        if (!(largest > 0))
            largest = smallest = double.NaN;            // nothing was iterated
        return [.. run.Columns.Select((column, j) => {
            SolveAudit.Verdict at = finding.Columns[j];
            (double right, double size) = (bNorms[j] / finding.Unit, column.SolutionNorm / finding.Unit);
            if (at.NormalResidualNorm == 0 && at.ResidualNorm == 0)
                return size == 0 ? 0 : unit;
            double rounding = unit * (right + norm * size);
            double byMinimum = at.NormalResidualNorm / smallest / smallest + unit * (norm / smallest) * (at.ResidualNorm / smallest);
            double byResidual = at.ResidualNorm / smallest;
            double error = ((damp == 0 ? Math.Min(byMinimum, byResidual) : byMinimum) + rounding / smallest) / size;
            return double.IsNaN(error) ? double.PositiveInfinity : error + unit;
        })];
    }
}
