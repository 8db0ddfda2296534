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

        using var guard = no_grad();       // what is fixed below carries no graph; Recorded switches it on again
        Tensor d = options.Start is null ? x : x.sub(options.Start);
        var backward = new BackwardSolve(A, damp, options.Gradient) { ForwardConverged = solved, NeedsOperator = operatorNeedsGrad };
        Tensor? Atr = null, Aty = null;
        if (operatorNeedsGrad) {
            bool isWide = A.Rows < A.Columns;
            if (damp > 0 || !isWide || plain.Stop != LsmrStop.Residual) {       // otherwise r = 0, and the first term vanishes
                Tensor r = b.detach().sub(Ax!.detach());
                Atr = Recorded(() => A.VecMat(r));
                backward.NeedsW = true;
            }
            if (damp == 0 && isWide && backward.MultiplierOfStart(d) is Tensor y) { // s != 0 in general, and the last does not
                Aty = Recorded(() => A.VecMat(y));
                backward.HasY = true;
            }
        }
        return Recorded(() => SolutionFunction.Join(x, d, backward, b, options.Start, options.Damp.Tensor, Ax, Atr, Aty));
    }

    private static Tensor Recorded(Func<Tensor> operation)
    {
        using var guard = enable_grad();
        return operation();
    }
}
