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

    /// <summary>How each right-hand side ended; one entry where b is a single one.</summary>
    public required IReadOnlyList<CraigmrColumn> Columns { get; init; }

    /// <summary>‖b − A x − λ²y‖ as the recurrence has it; of several right-hand sides that of the whole.</summary>
    public double ResidualNorm =>
        Columns.Count == 1 ? Columns[0].ResidualNorm : Math.Sqrt(Columns.Sum(column => column.ResidualNorm * column.ResidualNorm));

    /// <summary>Why the iteration ended; of several right-hand sides the gravest.</summary>
    public CraigmrStop Stop => Columns.Max(column => column.Stop);

    /// <summary>Iterations done, each one product with A and one with Aᵀ.</summary>
    public int Iterations => Columns.Max(column => column.Iterations);

    /// <summary>A lower bound of ‖A‖₂, usually close: the largest singular value of the bidiagonal matrix; 0 if nothing was iterated.</summary>
    public required double NormEstimate { get; init; }

    /// <summary>An upper bound of A's smallest singular value on what b spans, close once converged; 0 if nothing was iterated.</summary>
    public required double SmallestEstimate { get; init; }

    /// <summary>Whether both vectors are right to the tolerance.</summary>
    public bool Converged => Stop is CraigmrStop.Residual or CraigmrStop.ZeroRightHandSide;

    /// <summary>Such as <c>CRAIGMR stopped on Residual after 35 iterations: |r| = 3.8e-11</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"CRAIGMR stopped on {Stop} after {Iterations} iterations: |r| = {Text.Number(ResidualNorm)}");
}

/// <summary>How one right-hand side ended.</summary>
public readonly record struct CraigmrColumn(CraigmrStop Stop, int Iterations, double ResidualNorm);
