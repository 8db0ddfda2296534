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

    public override string ToString() =>
        FormattableString.Invariant($"{DtypeName}, λ = {Damp}") + (Variant == Conditioning.Variant.All[0].Name ? "" : $", {Variant}");
}

/// <summary>One solve with its gradients, of one problem.</summary>
internal sealed record Point(Sweep Sweep, Lane Lane, double Value, int Seed);

/// <summary>
/// What came out: relative errors of x and of the gradients to b and to A; whether the solve said that it converged, and
/// whether its gradient needed fewer products than its limit allows (it reports nothing itself where anything is accepted).
/// Where it was refused all the same, Failure says why and the errors are infinite.
/// </summary>
internal sealed record PointResult(
    Point Point, double ErrorX, double ErrorB, double ErrorA, string Stop, int Iterations, int BackwardProducts, bool Converged,
    string? Failure = null)
{
    /// <summary>Of the gradients; infinite where one is not finite.</summary>
    public double Error => double.IsFinite(ErrorB) && double.IsFinite(ErrorA) ? Math.Max(ErrorB, ErrorA) : double.PositiveInfinity;
}

/// <summary>A line of metrics; an error that is not finite is null.</summary>
internal sealed record PointMetric(
    string Sweep, string Variant, string Dtype, double Damp, double Value, int Seed, double? ErrorX, double? ErrorB, double? ErrorA,
    string Stop, int Iterations, int BackwardProducts, bool Converged, string? Failure)
{
    public static PointMetric Of(PointResult result)
    {
        Point at = result.Point;
        return new PointMetric(
            at.Sweep.ToString(), at.Lane.Variant, at.Lane.DtypeName, at.Lane.Damp, at.Value, at.Seed, Finite(result.ErrorX),
            Finite(result.ErrorB), Finite(result.ErrorA), result.Stop, result.Iterations, result.BackwardProducts, result.Converged, result.Failure);
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}

/// <summary>The median over the seeds of a point; unconverged if a solve of one of them was.</summary>
internal sealed record Median(Sweep Sweep, Lane Lane, double Value, double Error, bool Converged);
