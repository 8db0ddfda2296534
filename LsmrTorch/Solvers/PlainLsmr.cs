using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>LSMR on tensors that carry no gradients: the loop and its stopping rules.</summary>
internal static class PlainLsmr
{
    /// <summary>Solves under <c>no_grad()</c>; arguments are checked by the caller. The solution is in the caller's dispose scope.</summary>
    public static LsmrResult Solve(LinearOperator A, Tensor b, Tensor? x0, double damp, LsmrOptions options)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var iteration = new LsmrIteration(A.Prepare(), b, x0, damp);
        var rules = new StoppingRules(options, A);
        LsmrStop? stop = rules.AtStart(iteration);
        while (stop is null) {
            options.CancellationToken.ThrowIfCancellationRequested();
            iteration.Step();
            stop = rules.After(iteration);
        }
        if (stop == LsmrStop.NonFinite)
            Vectors.Fill(iteration.X, double.NaN);
        return new LsmrResult {
            Solution = scope.MoveToOuter(iteration.X),
            Stop = stop.Value,
            Iterations = iteration.Iterations,
            ResidualNorm = iteration.ResidualNorm,
            NormalResidualNorm = iteration.NormalResidualNorm,
            NormEstimate = iteration.NormEstimate,
            ConditionEstimate = iteration.ConditionEstimate,
            SolutionNorm = iteration.SolutionNorm,
            Elapsed = iteration.Elapsed,
        };
    }

    /// <summary>
    /// The rules of Fong and Saunders (2011, section 6.1), in the order of SciPy's lsmr where several hold at once, and
    /// written without divisions, so that they scale with A, b and x. Tolerances are raised to 3 eps, below which they
    /// only measure round-off; SciPy's three "to machine precision" stops are these.
    /// </summary>
    private readonly struct StoppingRules(LsmrOptions options, LinearOperator A)
    {
        private readonly double floor = 3 * Vectors.Epsilon(A.dtype);
        private readonly double standard = A.dtype == ScalarType.Float32 ? 1e-6 : 1e-10;
        private readonly long limit = options.MaxIterations ?? Math.Max(200, 20 * Math.Min(A.Rows, A.Columns));

        private double Atol => Math.Max(options.Atol ?? standard, floor);
        private double Btol => Math.Max(options.Btol ?? standard, floor);

        public LsmrStop? AtStart(LsmrIteration at) =>
            !at.IsFinite ? LsmrStop.NonFinite
            : at.NormalResidualNorm == 0 ? LsmrStop.StartIsSolution
            : limit == 0 ? LsmrStop.IterationLimit
            : null;

        public LsmrStop? After(LsmrIteration at)
        {
            if (!at.IsFinite)
                return LsmrStop.NonFinite;
            bool requested = options.StopWhen?.Invoke(at.Progress) ?? false;
            if (at.ResidualNorm <= Btol * at.RightHandSideNorm + Atol * at.NormEstimate * at.SolutionNorm)
                return LsmrStop.Residual;
            if (at.NormalResidualNorm <= Atol * at.NormEstimate * at.ResidualNorm)
                return LsmrStop.LeastSquares;
            if (at.ConditionEstimate >= Math.Min(options.ConditionLimit, 1 / floor))
                return LsmrStop.IllConditioned;
            if (requested)
                return LsmrStop.Requested;
            return at.Iterations >= limit ? LsmrStop.IterationLimit : null;
        }
    }
}
