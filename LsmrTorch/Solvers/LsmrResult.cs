using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>A solution with how it was reached. The tensor belongs to the caller (or to the caller's dispose scope).</summary>
public sealed record LsmrResult
{
    /// <summary>x, of the operator's InputShape. Carries gradients unless solved under <c>no_grad()</c>.</summary>
    public required Tensor Solution { get; init; }

    /// <summary>Why the iteration ended.</summary>
    public required LsmrStop Stop { get; init; }

    /// <summary>Iterations done, each one product with A and one with Aᵀ.</summary>
    public required int Iterations { get; init; }

    /// <summary>‖[b − A x; λ(x − x0)]‖ as the recurrence has it; without damping ‖b − A x‖.</summary>
    public required double ResidualNorm { get; init; }

    /// <summary>‖Aᵀ(b − A x) − λ²(x − x0)‖ as the recurrence has it: zero at a solution.</summary>
    public required double NormalResidualNorm { get; init; }

    /// <summary>A growing estimate of the Frobenius norm of [A; λI].</summary>
    public required double NormEstimate { get; init; }

    /// <summary>A lower bound of the condition of [A; λI], often well below it.</summary>
    public required double ConditionEstimate { get; init; }

    /// <summary>‖x‖.</summary>
    public required double SolutionNorm { get; init; }

    /// <summary>How long the solve took.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Whether x is a solution to the tolerances.</summary>
    public bool Converged => Stop is LsmrStop.StartIsSolution or LsmrStop.Residual or LsmrStop.LeastSquares;

    /// <summary>This result, if it converged.</summary>
    /// <exception cref="LsmrException">It did not; the message says why.</exception>
    public LsmrResult ThrowIfFailed() => Converged ? this : throw new LsmrException(ToString());

    /// <summary>Such as <c>LSMR stopped on Residual after 187 iterations: |r| = 3.8e-03, |A'r| = 5.3e-04, cond(A) >= 5.5e+00</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"LSMR stopped on {Stop} after {Iterations} iterations: |r| = {Text.Number(ResidualNorm)}, |A'r| = {Text.Number(NormalResidualNorm)}, cond(A) >= {Text.Number(ConditionEstimate)}");
}

/// <summary>A solve that was to be relied on did not converge.</summary>
public sealed class LsmrException(string message) : InvalidOperationException(message);
