using System.Globalization;

namespace LsmrTorch;

/// <summary>What is known of an error of a gradient.</summary>
public enum GradientErrorKind
{
    /// <summary>The numbers are bounds (λ > 0; mathematics, with an allowance for the round-off of the residuals they are made of).</summary>
    Certified,

    /// <summary>λ = 0: the bounds would need the smallest singular value of A, and an estimate stands for it. Not a bound.</summary>
    Estimated,

    /// <summary>λ > 0, but round-off alone, about eps ‖A‖² ‖w‖ / λ², is over what is asked (or over the gradient itself): not certifiable in this precision. Take float64 or a larger λ.</summary>
    NotCertifiable,

    /// <summary>
    /// Nothing is known (<see cref="LsmrOptions.Audit"/> was false, a solve met NaN, or the operator's products do not
    /// repeat and that was accepted).
    /// </summary>
    Unknown,
}

/// <summary>A bound or an estimate of the norm of a gradient's error, and the gradient's norm.</summary>
public readonly record struct GradientError(double Absolute, double Norm)
{
    /// <summary>The error relative to the gradient; infinite where that is zero and the error is not.</summary>
    public double Relative => Absolute == 0 ? 0 : Absolute / Norm;
}

/// <summary>
/// What the last backward pass through a solution did, and what its gradients promise for the cotangent that came in. For several
/// right-hand sides the numbers are of all together.
/// </summary>
public sealed record GradientReport
{
    /// <summary>What the errors below are.</summary>
    public required GradientErrorKind Kind { get; init; }

    /// <summary>Krylov runs of this backward pass.</summary>
    public required int Runs { get; init; }

    /// <summary>Iterations of all runs, each one product with A and one with Aᵀ.</summary>
    public required int Iterations { get; init; }

    /// <summary>‖g − Aᵀp − λ²w‖ / ‖g‖, recomputed from w; of an undamped wide or deficient operator ‖A(g − Aᵀp)‖ / (‖A‖ ‖g‖).</summary>
    public required double RelativeResidual { get; init; }

    /// <summary>The error of ∂L/∂b = p.</summary>
    public GradientError RightHandSide { get; init; }

    /// <summary>The error of ∂L/∂x0 = g − Aᵀp; null where x0 requires no gradient, and for an undamped A of full column rank, where it is zero.</summary>
    public GradientError? Start { get; init; }

    /// <summary>The error of ∂L/∂λ = −2λ wᵀd; null where λ is a number.</summary>
    public GradientError? Damp { get; init; }

    /// <summary>
    /// The error of ∂L/∂A, all entries (Frobenius norm), that of the forward solve included; null where A requires no gradient. That of
    /// ∂L/∂θ is at most this times the norm of ∂A/∂θ.
    /// </summary>
    public GradientError? Operator { get; init; }

    /// <summary>The largest of the relative errors.</summary>
    public double WorstRelative => new[] { RightHandSide, Start, Damp, Operator }.Max(error => error?.Relative ?? 0);

    /// <summary>Such as <c>Gradients by 1 run of 35 iterations, relative error at most 3.1e-09 (Certified)</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"Gradients by {Runs} run{(Runs == 1 ? "" : "s")} of {Iterations} iterations, relative error {Claim} ({Kind})");

    private string Claim => Kind switch {
        GradientErrorKind.Unknown => "unknown",
        GradientErrorKind.Estimated => $"about {Text.Number(WorstRelative)}",
        _ => $"at most {Text.Number(WorstRelative)}",
    };
}

/// <summary>Where the backward pass leaves its report for the result; it must not lead to the solution, or the node would live for ever.</summary>
internal sealed class GradientReports
{
    public GradientReport? Last { get; set; }
}
