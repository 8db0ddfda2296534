using TorchSharp;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>What a sweep varies.</summary>
internal enum Sweep
{
    Cond,

    /// <summary>The tolerances of the solve and of its gradient, equal.</summary>
    Tolerance,

    /// <summary>That of the solve, the gradient's at its floor.</summary>
    ForwardTolerance,

    /// <summary>That of the gradient, the solve's at its floor.</summary>
    BackwardTolerance,

    Noise,
}

/// <summary>A line of a plot: everything that a sweep does not vary.</summary>
internal sealed record Lane(string Variant, torch.ScalarType Dtype, double Damp)
{
    public string DtypeName => Dtype.ToString().ToLowerInvariant();

    public bool IsPlain => Variant == Conditioning.Variant.All[0].Name;

    /// <summary>The lane without its variant.</summary>
    public string Problem => FormattableString.Invariant($"{DtypeName}, λ = {Damp}");

    public override string ToString() => Problem + (IsPlain ? "" : $", {Variant}");
}

/// <summary>One solve with its gradients, of one problem.</summary>
internal sealed record Point(Sweep Sweep, Lane Lane, double Value, int Seed);

/// <summary>
/// What came out: relative errors of x and of the gradients to b and to A; runs, iterations and true residual of the backward
/// pass; whether the solve converged, audited, and no backward run came to its limit. Where there was an exception all the same, Failure
/// says why and the errors are infinite.
/// </summary>
internal sealed record PointResult(
    Point Point, double ErrorX, double ErrorB, double ErrorA, string Stop, int Iterations,
    int BackwardRuns, int BackwardIterations, double BackwardResidual, bool Converged, string? Failure = null)
{
    /// <summary>No gradient, or not even a solve.</summary>
    public static PointResult Failed(Point at, LsmrResult? result, string failure) => new(
        at, double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity, result?.Stop.ToString() ?? "none", result?.Iterations ?? 0,
        BackwardRuns: 0, BackwardIterations: 0, BackwardResidual: double.NaN, Converged: false, failure);

    /// <summary>Of the gradients; infinite where one is not finite.</summary>
    public double Error => double.IsFinite(ErrorB) && double.IsFinite(ErrorA) ? Math.Max(ErrorB, ErrorA) : double.PositiveInfinity;
}

/// <summary>A line of metrics; an error that is not finite is null.</summary>
internal sealed record PointMetric(
    string Sweep, string Variant, string Dtype, double Damp, double Value, int Seed, double? ErrorX, double? ErrorB, double? ErrorA,
    string Stop, int Iterations, int BackwardRuns, int BackwardIterations, double? BackwardResidual, bool Converged, string? Failure)
{
    public static PointMetric Of(PointResult result)
    {
        Point at = result.Point;
        return new PointMetric(
            at.Sweep.ToString(), at.Lane.Variant, at.Lane.DtypeName, at.Lane.Damp, at.Value, at.Seed, Finite(result.ErrorX),
            Finite(result.ErrorB), Finite(result.ErrorA), result.Stop, result.Iterations, result.BackwardRuns, result.BackwardIterations,
            Finite(result.BackwardResidual), result.Converged, result.Failure);
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}

/// <summary>The median over the seeds of a point; unconverged if a solve of one of them was.</summary>
internal sealed record Median(Sweep Sweep, Lane Lane, double Value, double Error, bool Converged);
