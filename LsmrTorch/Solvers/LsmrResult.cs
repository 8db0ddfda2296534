using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A solution with how it was reached. The tensor belongs to the caller (or to the caller's dispose scope). For several
/// right-hand sides <see cref="Columns"/> has each; the other properties then speak of all: the gravest stop, the most
/// iterations, the norms of the whole.
/// </summary>
public sealed record LsmrResult
{
    /// <summary>x, of the operator's InputShape, with b's last dimension if b has columns. Carries gradients unless solved under <c>no_grad()</c>.</summary>
    public required Tensor Solution { get; init; }

    /// <summary>How each right-hand side ended; one entry where b is a single one.</summary>
    public required IReadOnlyList<LsmrColumn> Columns { get; init; }

    /// <summary>Why the iteration ended.</summary>
    public LsmrStop Stop => Columns.Max(column => column.Stop);

    /// <summary>Iterations done, each one product with A and one with Aᵀ.</summary>
    public int Iterations => Columns.Max(column => column.Iterations);

    /// <summary>‖[b − A x; λ(x − x0)]‖ as the recurrence has it; without damping ‖b − A x‖.</summary>
    public double ResidualNorm => Together(column => column.ResidualNorm);

    /// <summary>
    /// ‖Aᵀ(b − A x) − λ²(x − x0)‖ as the recurrence has it: zero at a solution. With a preconditioner P, that of Pᵀ times this.
    /// </summary>
    public double NormalResidualNorm => Together(column => column.NormalResidualNorm);

    /// <summary>‖x‖.</summary>
    public double SolutionNorm => Together(column => column.SolutionNorm);

    /// <summary>
    /// A lower bound of ‖A‖₂ (of A P with a preconditioner), within some per cent after a few dozen iterations: the largest
    /// singular value of the bidiagonal matrix. 0 before the first iteration.
    /// </summary>
    public required double NormEstimate { get; init; }

    /// <summary>
    /// A lower bound of the condition of [A; λI] (of A P with a preconditioner), where A's rank is deficient of that on its row
    /// space: from the extreme singular values of the bidiagonal matrix, which reach A's as the solve converges. 1 before the first iteration.
    /// </summary>
    public required double ConditionEstimate { get; init; }

    /// <summary>
    /// The norms recomputed from x by two more products, after a solve that says it converged;
    /// null where <see cref="LsmrOptions.Audit"/> is false or the solve does not say so.
    /// </summary>
    public LsmrAudit? Audit { get; init; }

    /// <summary>
    /// About ‖x − x*‖ / ‖x‖ at most, x* the solution; of several right-hand sides the largest. See <see cref="LsmrColumn.ErrorEstimate"/>.
    /// </summary>
    public double ErrorEstimate => Columns.Max(column => column.ErrorEstimate);

    /// <summary>How long the solve took.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Whether x is a solution to the tolerances.</summary>
    public bool Converged => Columns.All(column => column.Converged);

    /// <summary>What the last backward pass through the solution promises; null before there was one.</summary>
    public GradientReport? GradientReport => Reports?.Last;

    internal GradientReports? Reports { get; init; }

    /// <summary>This result, if it converged.</summary>
    /// <exception cref="LsmrException">It did not; the message says why.</exception>
    public LsmrResult ThrowIfFailed() => Converged ? this : throw new LsmrException(ToString());

    /// <summary>Such as <c>LSMR stopped on Residual after 187 iterations: |r| = 3.8e-03, |A'r| = 5.3e-04, cond(A) >= 5.5e+00</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"LSMR stopped on {Stop} after {Iterations} iterations: |r| = {Text.Number(ResidualNorm)}, |A'r| = {Text.Number(NormalResidualNorm)}, cond(A) >= {Text.Number(ConditionEstimate)}{Denied}");

    private string Denied => Audit is { } audit && Stop == LsmrStop.NotConfirmed
        ? $", but recomputed |r| = {Text.Number(audit.ResidualNorm)}, |A'r| = {Text.Number(audit.NormalResidualNorm)}"
        : "";

    private double Together(Func<LsmrColumn, double> norm) =>
        Columns.Count == 1 ? norm(Columns[0]) : Math.Sqrt(Columns.Sum(column => norm(column) * norm(column)));
}

/// <summary>How one right-hand side ended; the norms are those of <see cref="LsmrResult"/>.</summary>
public readonly record struct LsmrColumn(
    LsmrStop Stop, int Iterations, double ResidualNorm, double NormalResidualNorm, double SolutionNorm)
{
    /// <summary>
    /// About ‖x − x*‖ / ‖x‖ at most, x* the solution: how far x is from it. Where min(m, n) is at most 64 and A is not much dearer than
    /// the solve was, from A's entries by dense algebra, and then trustworthy; elsewhere from residuals and the smallest
    /// singular value that the iteration met, which may be too large, and the estimate too small, where one was missed. Singular values
    /// that are round-off of the dtype beside the largest (4 √n eps, with rows or columns scaled to norm 1) count as zero. Infinite where
    /// A is too ill-conditioned to tell; NaN where nothing was audited.
    /// </summary>
    public double ErrorEstimate { get; init; } = double.NaN;

    /// <summary>Whether x is a solution to the tolerances.</summary>
    public bool Converged => Stop is LsmrStop.StartIsSolution or LsmrStop.Residual or LsmrStop.LeastSquares;
}

/// <summary>
/// True norms, recomputed from x by two products: of all right-hand sides together, so that one number stands for each.
/// </summary>
/// <param name="ResidualNorm">‖[b − A x; λ(x − x0)]‖.</param>
/// <param name="NormalResidualNorm">‖Aᵀ(b − A x) − λ²(x − x0)‖.</param>
public readonly record struct LsmrAudit(double ResidualNorm, double NormalResidualNorm);

/// <summary>A solve that was to be relied on did not converge.</summary>
public sealed class LsmrException(string message, Exception? reason = null)
    : InvalidOperationException(message, reason);
