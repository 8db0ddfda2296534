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
    public static Tensor Attach(LsmrResult plain, LinearOperator A, Tensor b, double damp, LsmrOptions options)
    {
        Tensor x = plain.Solution;
        Tensor? Ax = A.MayRequireGrad ? A.MatVec(x) : null;
        bool operatorNeedsGrad = Ax is { requires_grad: true };
        bool needsGrad = operatorNeedsGrad || b.requires_grad || options.Start is { requires_grad: true } || options.Damp.Tensor is { requires_grad: true };
        if (!needsGrad)
            return x;
        bool solved = plain.Converged || options.Gradient.WhenUnconverged == Unconverged.Accept;
        if (!solved && options.Gradient.WhenUnconverged == Unconverged.Throw)
            throw new LsmrException($"Gradients were to flow through an unconverged solve: {plain} (GradientOptions.WhenUnconverged decides).");

        Tensor d, r;
        using (no_grad()) {
            d = options.Start is null ? x : x.sub(options.Start);
            r = b.detach().sub(Ax?.detach() ?? A.MatVec(x));
        }
        bool isWide = A.Rows < A.Columns;
        bool residualVanishes = damp == 0 && isWide && plain.Stop == LsmrStop.Residual;
        Tensor? Atr = operatorNeedsGrad && !residualVanishes ? A.VecMat(r) : null;
        Tensor? Aty = null;
        if (operatorNeedsGrad && damp == 0 && isWide && solved) {   // s != 0 in general: y = A⁺ᵀd is needed
            LsmrResult y = PlainLsmr.Solve(A.T, d, null, 0, new LsmrOptions { MaxIterations = options.MaxIterations, CancellationToken = options.CancellationToken });
            if (!y.Converged && options.Gradient.WhenUnconverged == Unconverged.Throw)
                throw new LsmrException($"The multiplier y = A⁺ᵀ(x - x0), which gradients to a wide operator need, did not converge: {y}");
            Aty = A.VecMat(y.Solution);
        }
        var backward = new BackwardSolve(A, damp, options.Gradient) {
            ForwardConverged = solved,
            NeedsOperator = operatorNeedsGrad,
            NeedsW = operatorNeedsGrad && !residualVanishes,
            HasY = Aty is not null,
        };
        return SolutionFunction.Join(x, d, backward, b, options.Start, options.Damp.Tensor, Ax, Atr, Aty);
    }
}
