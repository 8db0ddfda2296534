using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Joins a solution to the autograd graph.</summary>
internal static class SolutionGraph
{
    /// <summary>
    /// The solution as a node that leads to b, λ, x0 and the operator's tensors, or as it is where none requires a gradient.
    /// </summary>
    /// <remarks>
    /// The operator's tensors need no list. A(θ)x, A(θ)ᵀr and A(θ)ᵀy are recorded once, with x, r, y held fixed; the
    /// backward pass gives these three the cotangents −p, w and s (see <see cref="BackwardSolve"/>), and autograd carries
    /// them to every tensor that the products use, those that only a closure knows included.
    /// </remarks>
    public static LsmrResult Attach(LsmrResult plain, LinearOperator A, Tensor b, double damp, LsmrOptions options)
    {
        Tensor x = plain.Solution;
        Tensor? Ax = A.MayRequireGrad ? Augmented.Product(A, x) : null;
        bool operatorNeedsGrad = Ax is { requires_grad: true }, dampNeedsGrad = options.Damp.Tensor is { requires_grad: true };
        bool needsGrad = operatorNeedsGrad || dampNeedsGrad || b.requires_grad || options.Start is { requires_grad: true };
        if (!needsGrad)
            return plain;
        bool solved = MayBeTrainedThrough(plain, options.Gradient);

        using var guard = no_grad();       // what is fixed below carries no graph; Recorded switches it on again
        Tensor d = options.Start is null ? x : x.sub(options.Start);
        var backward = new BackwardSolve(A, damp, options) { ForwardConverged = solved, NeedsOperator = operatorNeedsGrad, NeedsStart = options.Start is { requires_grad: true }, NeedsDamp = dampNeedsGrad };
        Tensor? Atr = null, Aty = null, r = null;
        if (operatorNeedsGrad || dampNeedsGrad)
            r = Residual(A, b.detach(), x, Ax?.detach() ?? Augmented.Product(A, x), damp, plain, options);
        if (operatorNeedsGrad) {
            bool isWide = A.Rows < A.Columns;
            if (damp > 0 || !isWide || plain.Stop != LsmrStop.Residual) {       // otherwise r = 0 to the tolerance, and the first term vanishes
                Atr = Recorded(() => Augmented.TransposedProduct(A, r!));
                backward.NeedsW = true;
            }
            // The last term needs y now where only a closure knows the tensors; elsewhere the backward pass can see to it.
            if (damp == 0 && !A.HoldsAll && (isWide || !(options.Gradient.FullColumnRank ?? ForwardSolve.HasFullColumnRank(A, options.WarmStart))) && backward.MultiplierOfStart(d) is Tensor y) {
                Aty = Recorded(() => Augmented.TransposedProduct(A, y));
                backward.HasY = true;
            }
        }
        MapWitness? witness = solved ? MapWitness.Of(A, x, r) : null;
        var forward = new BackwardSolve.Forward(r is null ? null : x, r is null ? null : d, r, witness);
        Tensor joined = Recorded(() => SolutionFunction.Join(x, backward, forward, b, options.Start, options.Damp.Tensor, Ax, Atr, Aty));
        return plain with { Solution = joined, Reports = backward.Reports };
    }

    /// <summary>Whether gradients are to flow through the solve; false where they are to be NaN.</summary>
    /// <exception cref="LsmrException">It did not converge, and that is to throw.</exception>
    public static bool MayBeTrainedThrough(LsmrResult plain, GradientOptions settings)
    {
        bool solved = plain.Converged || settings.WhenUnconverged == Unconverged.Accept;
        if (!solved && settings.WhenUnconverged == Unconverged.Throw)
            throw new LsmrException($"Gradients were to flow through an unconverged solve: {plain} (GradientOptions.WhenUnconverged decides).");
        return solved;
    }

    // r = b − A x; where damping makes it so small that the difference has lost half its digits, r = λ²y with (A Aᵀ + λ²I) y = b − A x0,
    // by a run of its own: r is paired with a w of the size of g/λ².
    private static Tensor Residual(LinearOperator A, Tensor b, Tensor x, Tensor Ax, double damp, LsmrResult plain, LsmrOptions options)
    {
        Tensor r = b.sub(Ax);
        double eps = Vectors.Epsilon(A.dtype), size = Vectors.Norm(Ax) + Vectors.Norm(b);
        if (damp == 0 || !plain.Converged || Vectors.Norm(r) > 4 * Math.Sqrt(eps) * size)
            return r;
        Tensor c = options.Start is null ? b : b.sub(Augmented.Product(A, options.Start.detach()));
        CraigmrResult dual = Craigmr.Solve(A, c, new CraigmrOptions { Damp = damp, Tolerance = options.Gradient.Tolerance, MaxIterations = options.MaxIterations, Reorthogonalise = options.Reorthogonalise });
        if (!dual.Converged)
            return r;
        Vectors.Scale(dual.Multiplier, damp * damp);
        return dual.Multiplier;
    }

    private static Tensor Recorded(Func<Tensor> operation)
    {
        using var guard = enable_grad();
        return operation();
    }
}
