using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Why CRAIGMR stopped, and what to try next.</summary>
public enum CraigmrStop
{
    /// <summary>b = 0, and so both vectors are.</summary>
    ZeroRightHandSide,

    /// <summary>‖b − A x − λ²y‖ is within the tolerance.</summary>
    Residual,

    /// <summary>
    /// Without damping, b lies outside the range of A: what is left of the residual is orthogonal to it. x is the least-squares
    /// solution to the tolerance, y means nothing. Use LSMR for x, or damping.
    /// </summary>
    Inconsistent,

    /// <summary>The iteration limit came first. Allow more iterations, loosen the tolerance, or use damping.</summary>
    IterationLimit,

    /// <summary>b, A v or Aᵀu held NaN or infinity, or overflowed in this dtype; both vectors are filled with NaN.</summary>
    NonFinite,
}

/// <summary>What CRAIGMR found. Both tensors belong to the caller (or to the caller's dispose scope) and carry no gradients.</summary>
public sealed record CraigmrResult
{
    /// <summary>x = Aᵀy, of the operator's InputShape: the solution of min ‖A x − b‖² + λ²‖x‖², of least norm where λ = 0.</summary>
    public required Tensor Solution { get; init; }

    /// <summary>y of (A Aᵀ + λ²I) y = b, of the operator's OutputShape.</summary>
    public required Tensor Multiplier { get; init; }

    /// <summary>‖b − A x − λ²y‖ as the recurrence has it.</summary>
    public required double ResidualNorm { get; init; }

    /// <summary>Why the iteration ended.</summary>
    public required CraigmrStop Stop { get; init; }

    /// <summary>Iterations done, each one product with A and one with Aᵀ.</summary>
    public required int Iterations { get; init; }

    /// <summary>Whether both vectors are right to the tolerance.</summary>
    public bool Converged => Stop is CraigmrStop.Residual or CraigmrStop.ZeroRightHandSide;

    /// <summary>Such as <c>CRAIGMR stopped on Residual after 35 iterations: |r| = 3.8e-11</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"CRAIGMR stopped on {Stop} after {Iterations} iterations: |r| = {Text.Number(ResidualNorm)}");
}
