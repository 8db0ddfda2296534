using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// When LSMR stops: the rules of Fong and Saunders (2011, section 6.1), in the order of SciPy's lsmr where several hold at
/// once, and written without divisions, so that they scale with A, b and x. Tolerances are raised to 3 eps, below which they
/// only measure round-off; SciPy's three "to machine precision" stops are these. There ‖A‖ is a bound from below: the growing one,
/// which is over ‖A‖ by the root of the iterations, would stop an iteration that can still gain digits.
/// </summary>
internal sealed class LsmrRules(LsmrOptions options, LinearOperator A, double damp)
{
    private readonly double floor = 3 * Vectors.Epsilon(A.dtype);
    private readonly double standard = A.dtype == ScalarType.Float32 ? 1e-6 : 1e-10;
    private readonly double conditionLimit =
        Math.Min(options.ConditionLimit == 0 ? double.PositiveInfinity : options.ConditionLimit,
            1 / (3 * Vectors.Epsilon(A.dtype)));
    private readonly long limit = options.MaxIterations ?? DefaultLimit(A);

    /// <summary>The iteration limit where none is set: 20 min(m, n), at least 200.</summary>
    public static long DefaultLimit(LinearOperator A) => Math.Max(200, 20 * Math.Min(A.Rows, A.Columns));

    /// <summary>
    /// False for a solve whose answer a gradient is made of: the share atol ‖A‖ ‖x‖ of the rule on ‖r‖ would accept one that
    /// is far off (on illc1033, at 1e-6, by 0.69), and the condition is no reason to stop.
    /// </summary>
    public bool ErrorOfOperatorIsAllowed { get; init; } = true;

    public double Atol => Math.Max(options.Atol ?? standard, floor);
    public double Btol => Math.Max(options.Btol ?? standard, floor);

    /// <summary>Whether and why the column is done, at the start and after each iteration.</summary>
    public LsmrStop? Stop(LsmrIteration at, int column, bool requested)
    {
        LsmrRecurrence numbers = at.Numbers(column);
        if (!at.IsFinite(column))
            return LsmrStop.NonFinite;
        LsmrRecurrence.ScaledNumbers norms = numbers.Scaled;
        if (at.Iterations == 0) {
            return norms.NormalResidualNorm == 0 ? LsmrStop.StartIsSolution
                : limit == 0 ? LsmrStop.IterationLimit
                : null;
        }
        if (SufficesForGradient(at, column)) {
            double errorOfOperator = Math.Max((options.Atol ?? standard) * norms.FrobeniusEstimate, floor * norms.NormBound);
            double bShare = Btol * numbers.ScaledRightHandSide(at.RightHandSideNorm[column]);
            double xShare = errorOfOperator * numbers.ScaledSolution(at.SolutionNorm[column]);
            if (norms.ResidualNorm <= bShare + (ErrorOfOperatorIsAllowed ? xShare : 0))
                return LsmrStop.Residual;
            if (norms.NormalResidualNorm <= errorOfOperator * norms.ResidualNorm)
                return LsmrStop.LeastSquares;
        }
        if (ErrorOfOperatorIsAllowed && numbers.ConditionEstimate >= conditionLimit)
            return LsmrStop.IllConditioned;
        if (requested)
            return LsmrStop.Requested;
        return at.Iterations >= limit ? LsmrStop.IterationLimit : null;
    }

    // Where a gradient is to have a certified error, the forward solve's share of it, ‖x‖-wise ν/λ² and ‖r‖-wise ν/(2λ) with
    // ν = ‖Aᵀr − λ²d‖, must be small too, or as small as round-off allows.
    private bool SufficesForGradient(LsmrIteration at, int column)
    {
        if (options.Gradient.ErrorTarget is not double target || damp == 0)
            return true;
        LsmrRecurrence.ScaledNumbers norms = at.Numbers(column).Scaled;
        double x = at.Numbers(column).ScaledSolution(at.SolutionNorm[column]);
        double share = target / 8 * norms.Damp * Math.Min(norms.Damp * x, 2 * norms.ResidualNorm);
        double roundoff = floor * norms.FrobeniusEstimate * (norms.FrobeniusEstimate * x + norms.ResidualNorm);
        return norms.NormalResidualNorm <= Math.Max(share, roundoff);
    }
}
