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

    /// <summary>The tolerance in a dtype, with the default and the floor.</summary>
    internal static double ToleranceIn(ScalarType dtype, double? asked) =>
        Math.Max(asked ?? DefaultTolerance(dtype), 3 * Vectors.Epsilon(dtype));

    internal static double DefaultTolerance(ScalarType dtype) => dtype == ScalarType.Float32 ? 1e-6 : 1e-12;

    /// <summary>Default 20 min(m, n), at least 200.</summary>
    public int? MaxIterations { get; init; }

    /// <summary>As for <see cref="LsmrOptions.Reorthogonalise"/>, of vectors like y. Default 0.</summary>
    public int Reorthogonalise { get; init; }

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
    /// <summary>
    /// Finds x (InputShape) and y (OutputShape) for b (OutputShape), or, where b has one more dimension, for each of its
    /// columns. No gradient flows through them.
    /// </summary>
    /// <exception cref="ArgumentException">b has another shape, dtype or device than the operator returns; an option is out of range.</exception>
    public static CraigmrResult Solve(LinearOperator A, Tensor b, CraigmrOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(A);
        options ??= new();
        Require.NoInferenceMode();
        Require.Vectors(b, "b", A.OutputShape, "the operator returns", A);
        Require.Damp(options.Damp, nameof(options.Damp), A.dtype);
        A.RequireUnchanged();
        Require.NonNegative(options.Tolerance ?? 0, nameof(options.Tolerance));
        if (options.MaxIterations < 0)
            throw new ArgumentException($"MaxIterations must not be negative, but is {options.MaxIterations}.", nameof(options));
        if (options.Reorthogonalise < 0)
            throw new ArgumentException($"Reorthogonalise must not be negative, but is {options.Reorthogonalise}.", nameof(options));

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        double tolerance = CraigmrOptions.ToleranceIn(A.dtype, options.Tolerance);
        long limit = options.MaxIterations ?? Math.Max(200, 20 * Math.Min(A.Rows, A.Columns));
        var iteration = new CraigmrIteration(A.Prepare(), b.detach(), options.Damp, options.Reorthogonalise);
        var ends = new CraigmrColumn[iteration.Columns];
        Tensor? xs = iteration.Columns > 1 ? zeros_like(iteration.X) : null, ys = iteration.Columns > 1 ? zeros_like(iteration.Y) : null;
        double largest = 0, smallest = double.PositiveInfinity;
        ColumnLoop.Run<CraigmrStop>(iteration.Columns, j => Stop(iteration, j, tolerance, limit), End, iteration.Keep, iteration.Step, options.CancellationToken);

        void End(int j, long number, CraigmrStop stop)
        {
            if (Overflows(iteration.X, j, iteration.Columns) || Overflows(iteration.Y, j, iteration.Columns))
                stop = CraigmrStop.NonFinite;
            ends[number] = new CraigmrColumn(stop, iteration.Iterations, iteration.Numbers(j).ResidualNorm);
            largest = Math.Max(largest, iteration.Entries(j).Largest);
            if (iteration.Iterations > 0)
                smallest = Math.Min(smallest, iteration.Entries(j).Smallest);
            ColumnLoop.Put(iteration.X, j, number, stop != CraigmrStop.NonFinite, xs);
            ColumnLoop.Put(iteration.Y, j, number, stop != CraigmrStop.NonFinite, ys);
        }

        return new CraigmrResult {
            Solution = scope.MoveToOuter(xs ?? iteration.X),
            Multiplier = scope.MoveToOuter(ys ?? iteration.Y),
            Columns = ends,
            NormEstimate = largest,
            SmallestEstimate = double.IsFinite(smallest) ? smallest : 0,
        };
    }

    private static CraigmrStop? Stop(CraigmrIteration at, int column, double tolerance, long limit)
    {
        CraigmrRecurrence numbers = at.Numbers(column);
        // A residual along small singular values is small times them, too: only at round-off is it one that A does not reach.
        double roundoff = 3 * Vectors.Epsilon(at.X.dtype);
        if (!at.IsFinite(column))
            return CraigmrStop.NonFinite;
        if (at.Iterations == 0) {
            return numbers.RightHandSideNorm == 0 ? CraigmrStop.ZeroRightHandSide
                : numbers.IsOrthogonal ? CraigmrStop.Inconsistent
                : limit == 0 ? CraigmrStop.IterationLimit
                : null;
        }
        return numbers.ResidualNorm <= tolerance * numbers.RightHandSideNorm ? CraigmrStop.Residual
            : numbers.IsOrthogonalTo(roundoff) ? AtTheEnd(at, column, roundoff)
            : at.Iterations >= limit ? CraigmrStop.IterationLimit
            : null;
    }

    // No step can make the residual less: it is what A does not reach, or round-off of the products that it is made of.
    private static CraigmrStop AtTheEnd(CraigmrIteration at, int column, double roundoff)
    {
        CraigmrRecurrence numbers = at.Numbers(column);
        double size = numbers.RightHandSideNorm + numbers.NormBound * Vectors.Norms(at.X, at.Columns)[column];
        return numbers.ResidualNorm <= roundoff * Math.Sqrt(at.Iterations) * size ? CraigmrStop.Residual : CraigmrStop.Inconsistent;
    }

    // y is of the size of b / sigma², which may leave float32 though every product stays in it.
    private static bool Overflows(Tensor x, int column, int columns)
    {
        using Tensor found = columns == 1 ? x.alias() : x.select(-1, column);
        return !double.IsFinite(Vectors.Norm(found));
    }
}
