using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The Krylov runs of one backward pass (or of a tangent), how many they were, and what they told of the operator.</summary>
internal sealed class BackwardRuns(LinearOperator A, double damp, LsmrOptions options)
{
    private readonly GradientOptions settings = options.Gradient;
    private double smallest = double.PositiveInfinity;
    private (double OfA, double OfP)? own;      // norms that iterating on A P does not tell

    public int Runs { get; private set; }

    /// <summary>Of all runs.</summary>
    public int Iterations { get; private set; }

    /// <summary>The best lower bound of ‖A‖₂ so far.</summary>
    public double Norm { get; private set; }

    /// <summary>The best estimate of the smallest singular value that is not zero, from above without a preconditioner; 0 if nothing was iterated.</summary>
    public double Smallest => double.IsFinite(smallest) ? smallest : 0;

    /// <summary>p and w with (AᵀA + λ²I) w = g, p = A w, by CRAIGMR on Aᵀ.</summary>
    /// <param name="g">The right-hand side.</param>
    /// <param name="tolerance">Of the residual, relative to g (with a preconditioner P, to Pᵀg).</param>
    public (Tensor P, Tensor W, CraigmrResult Run) Pair(Tensor g, double tolerance)
    {
        var craigmr = new CraigmrOptions {
            Damp = options.Preconditioner is null ? damp : 0,
            Tolerance = tolerance,
            MaxIterations = settings.MaxIterations,
            Reorthogonalise = options.Reorthogonalise,
        };
        if (options.Preconditioner is not { } P) {
            CraigmrResult plain = Craigmr.Solve(A.T, g, craigmr);
            Count(plain.Iterations, plain.NormEstimate, plain.SmallestEstimate);
            return (plain.Solution, plain.Multiplier, plain);
        }
        // [A; λI] P in place of A: its first rows give p, and w is P times the multiplier.
        CraigmrResult run = Craigmr.Solve((Augmented.Operator(A, damp) * P).T, Augmented.TransposedProduct(P, g), craigmr);
        own ??= (Augmented.Norm(A.Prepare()), Augmented.Norm(P));       // sigma_min(A) is at least sigma_min(A P) / ‖P‖
        Count(run.Iterations, own.Value.OfA, run.SmallestEstimate / own.Value.OfP);
        Tensor p = damp == 0
            ? run.Solution
            : run.Solution.narrow(0, 0, A.Rows).reshape([.. A.OutputShape, .. run.Solution.shape[1..]]);
        return (p, Augmented.Product(P, run.Multiplier), run);
    }

    /// <summary>B⁺c by LSMR, B either A or Aᵀ; from a start q, q + B⁺(c − B q).</summary>
    /// <exception cref="LsmrException">It did not converge, unless that is accepted.</exception>
    public Tensor Minimise(LinearOperator B, Tensor c, Tensor? start = null)
    {
        double tolerance = settings.Tolerance ?? CraigmrOptions.DefaultTolerance(c.dtype);      // not raised to eps here: LsmrRules knows more of where round-off begins
        var lsmr = new LsmrOptions {
            Atol = tolerance,
            Btol = tolerance,
            MaxIterations = settings.MaxIterations,
            Reorthogonalise = options.Reorthogonalise,
        };
        LsmrResult run = PlainLsmr.Solve(B, c, start, 0, lsmr, new LsmrRules(lsmr, B, 0) { ErrorOfOperatorIsAllowed = false });
        Count(run.Iterations, run.NormEstimate, run.Iterations > 0 ? run.NormEstimate / run.ConditionEstimate : 0);
        Accept(run.Converged || (run.Stop == LsmrStop.IterationLimit && IsAtRoundoff(B, c, run)), run);
        return run.Solution;
    }

    /// <summary>Throws if a run did not converge, unless that is accepted.</summary>
    /// <exception cref="LsmrException">So it is.</exception>
    public void Accept(bool converged, object run)
    {
        if (!converged && settings.WhenUnconverged != Unconverged.Accept)
            throw new LsmrException($"A solve for the gradients did not converge: {run} (GradientOptions has its tolerance and iteration limit).");
    }

    // A run that came to its limit, but whose true ‖Bᵀ(c − B z)‖ is at round-off, is as good as one that converged.
    private static bool IsAtRoundoff(LinearOperator B, Tensor c, LsmrResult run)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        LinearOperator products = B.Prepare();
        Tensor rest = c.sub(Augmented.Product(products, run.Solution));
        double size = run.NormEstimate * (Vectors.Norm(c) + run.NormEstimate * run.SolutionNorm);
        return Vectors.Norm(Augmented.TransposedProduct(products, rest)) <= SolveAudit.RoundoffAllowance * Vectors.Epsilon(c.dtype) * size;
    }

    private void Count(int iterations, double norm, double small)
    {
        Runs++;
        Iterations += iterations;
        Norm = Math.Max(Norm, norm);
        if (small > 0)
            smallest = Math.Min(smallest, small);
    }
}
