using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>
/// Ours with another loss: the mean negative log predictive density of the held-back examples. Mean and solve are those of
/// <see cref="CalibratedFeatures"/>; the variances of some of the examples, σ²(1 + φᵀM⁻¹φ) with M = ΦᵀΦ + σ²I of the other folds, come from
/// one solve with many right-hand sides, d = argmin ‖Φd‖² + ‖σd − φ/σ‖².
/// </summary>
/// <remarks>
/// φᵀM⁻¹φ is the maximum over d of 2φᵀd − dᵀMd. So the gradient with d held fixed is the whole one, no second solve is needed, and
/// an error of d counts by its square, in value; a d that is not exact makes the variance too small.
/// </remarks>
internal sealed class CalibratedDensities : CalibratedFeatures
{
    private readonly WarmStart[] _warmStarts;

    public CalibratedDensities(GpProblem problem) : base(problem, "ours_nlpd") =>
        _warmStarts = [.. Enumerable.Range(0, Math.Max(problem.Sizes.Folds, problem.Sizes.FoldsOfMany)).Select(_ => new WarmStart())];

    /// <summary>Iterations of the solves for variances so far.</summary>
    public long VarianceIterations { get; private set; }

    /// <inheritdoc/>
    public override double Loss()
    {
        using var scope = NewDisposeScope();
        (Tensor errors, Tensor variances) = HeldBack(true);
        return NegativeLogDensity(errors, variances).mean().item<double>();
    }

    // Amplitude and noise have their sizes already.
    /// <inheritdoc/>
    public override void Finish()
    {
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (WarmStart warmStart in _warmStarts) {
            warmStart.Dispose();
        }
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override Tensor HeldBackLosses(Fold fold, LinearOperator? preconditioner)
    {
        // Other examples at each draw, a window that moves through the fold; the fold's order is random.
        long all = fold.Rows.shape[0], count = Math.Min(Problem.Sizes.Variances, all);
        long first = Problem.UsesAll ? fold.Draw * count % (all - count + 1) : 0;
        Tensor inputs = Problem.X.index_select(0, fold.Rows.narrow(0, first, count));
        (Tensor scales, Tensor amplitude, _) = Hyper.Values(Problem.X.dtype);
        Tensor phi = Problem.Features.Of(inputs, scales, amplitude), square = fold.Noise.square();
        Tensor errors = phi.mv(fold.Solution).sub(fold.Targets.narrow(0, first, count));
        using Scalar one = 1.0;
        return NegativeLogDensity(errors, Explained(fold, phi, preconditioner).add(one).mul(square));
    }

    // φᵀM⁻¹φ for each row φ.
    private Tensor Explained(Fold fold, Tensor phi, LinearOperator? preconditioner)
    {
        Tensor solution = Directions(fold, phi.detach(), preconditioner); // a column for each φ
        Tensor linear = phi.mul(solution.t()).sum(1L, false);
        Tensor quadratic = fold.Fitted.Apply(solution).square().sum(0L, false).add(solution.square().sum(0L, false).mul(fold.Noise.square()));
        return linear.add(linear).sub(quadratic);
    }

    private Tensor Directions(Fold fold, Tensor phi, LinearOperator? preconditioner)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor noise = fold.Noise.detach();
        LinearOperator damped = LinearOperator.Stack(fold.Fitted, noise * LinearOperator.Identity([phi.shape[1]], phi.dtype));
        Tensor rightSides = cat([zeros(fold.Fitted.Rows, phi.shape[0], phi.dtype), phi.t().div(noise)]);
        LsmrOptions options = Options(Problem.Sizes, 0) with {
            Atol = Problem.Sizes.VarianceTolerance,
            Btol = Problem.Sizes.VarianceTolerance,
            WarmStart = _warmStarts[fold.Number],
            Preconditioner = preconditioner,
        };
        LsmrResult result = Lsmr.Solve(damped, rightSides, options);
        VarianceIterations += result.Iterations;
        return scope.MoveToOuter(result.Solution);
    }

    private static Tensor NegativeLogDensity(Tensor errors, Tensor variances)
    {
        using Scalar half = 0.5, ofCircle = 2 * Math.PI;
        return variances.mul(ofCircle).log().add(errors.square().div(variances)).mul(half);
    }
}
