using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>When CRAIGMR stops, and its damping.</summary>
public sealed record CraigmrOptions
{
    /// <summary>λ in (A Aᵀ + λ²I) y = b; not negative. Default 0.</summary>
    public double Damp { get; init; }

    /// <summary>‖b − A x − λ²y‖ relative to ‖b‖ at which it stops. Default 1e-6 (float32), 1e-12 (float64); at least 3 eps.</summary>
    public double? Tolerance { get; init; }

    /// <summary>Default 20 min(m, n), at least 200.</summary>
    public int? MaxIterations { get; init; }

    /// <summary>Cancels the solve between iterations with an <see cref="OperationCanceledException"/>.</summary>
    public CancellationToken CancellationToken { get; init; }
}

/// <summary>
/// CRAIGMR: solves (A Aᵀ + λ²I) y = b and x = Aᵀy together, from products with A and Aᵀ, by minimising the residual
/// of the first (it is MINRES on A Aᵀ + λ²I without forming it). Damped it fits any system; undamped only a consistent
/// one, and says so otherwise.
/// </summary>
public static class Craigmr
{
    /// <summary>Finds x (InputShape) and y (OutputShape) for b (OutputShape). No gradient flows through them.</summary>
    /// <exception cref="ArgumentException">b has another shape, dtype or device than the operator returns; an option is out of range.</exception>
    public static CraigmrResult Solve(LinearOperator A, Tensor b, CraigmrOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(A);
        options ??= new();
        Require.NoInferenceMode();
        Require.Vector(b, "b", A.OutputShape, "the operator returns", A);
        Require.NonNegative(options.Damp, nameof(options.Damp));
        Require.NonNegative(options.Tolerance ?? 0, nameof(options.Tolerance));
        if (options.MaxIterations < 0)
            throw new ArgumentException($"MaxIterations must not be negative, but is {options.MaxIterations}.", nameof(options));

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        double standard = A.dtype == ScalarType.Float32 ? 1e-6 : 1e-12;
        double tolerance = Math.Max(options.Tolerance ?? standard, 3 * Vectors.Epsilon(A.dtype));
        long limit = options.MaxIterations ?? Math.Max(200, 20 * Math.Min(A.Rows, A.Columns));
        var iteration = new CraigmrIteration(A.Prepare(), b.detach(), options.Damp);
        CraigmrStop? stop = !iteration.IsFinite ? CraigmrStop.NonFinite
            : iteration.RightHandSideNorm == 0 ? CraigmrStop.ZeroRightHandSide
            : iteration.IsOrthogonal ? CraigmrStop.Inconsistent
            : limit == 0 ? CraigmrStop.IterationLimit
            : null;
        while (stop is null) {
            options.CancellationToken.ThrowIfCancellationRequested();
            iteration.Step();
            stop = !iteration.IsFinite ? CraigmrStop.NonFinite
                : iteration.ResidualNorm <= tolerance * iteration.RightHandSideNorm ? CraigmrStop.Residual
                : iteration.TransposedResidualNorm <= tolerance * iteration.NormEstimate * iteration.ResidualNorm ? CraigmrStop.Inconsistent
                : iteration.Iterations >= limit ? CraigmrStop.IterationLimit
                : null;
        }
        if (stop == CraigmrStop.NonFinite) {
            Vectors.Fill(iteration.X, double.NaN);
            Vectors.Fill(iteration.Y, double.NaN);
        }
        return new CraigmrResult {
            Solution = scope.MoveToOuter(iteration.X),
            Multiplier = scope.MoveToOuter(iteration.Y),
            ResidualNorm = iteration.ResidualNorm,
            Stop = stop.Value,
            Iterations = iteration.Iterations,
        };
    }
}
