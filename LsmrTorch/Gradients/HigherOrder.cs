using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Joins a solution to the autograd graph so that it can be differentiated several times.</summary>
internal static class HigherOrder
{
    /// <summary>
    /// The solution of F = 0 (see <see cref="NewtonStep"/>), written by operations that autograd knows, so that derivatives reach b, λ, x0
    /// and all that the operator uses:
    /// <code>
    ///   F(x) = Aᵀ(b − A x) − λ²(x − x0)                              λ > 0, or at least as many rows as columns
    ///   F(y) = b − A x0 − (A Aᵀ + λ²I) y,      x = x0 + Aᵀy           λ = 0 and wide
    /// </code>
    /// </summary>
    /// <exception cref="LsmrException">The solve did not converge; or the wide undamped operator has deficient rank.</exception>
    public static Tensor Attach(LsmrResult plain, LinearOperator A, Tensor b, double damp, LsmrOptions options)
    {
        int order = options.Gradient.Order;
        (Tensor value, Tensor? x0, Tensor? lambda) = (plain.Solution, options.Start, options.Damp.Tensor);
        bool needsGrad = A.MayRequireGrad && Augmented.Product(A, value).requires_grad
            || new[] { b, x0, lambda }.Any(input => input is { requires_grad: true });
        if (!needsGrad)
            return value;
        bool solved = SolutionGraph.MayBeTrainedThrough(plain, options.Gradient);

        if (damp > 0 || A.Rows >= A.Columns) {
            var primal = new NormalSystem(A, damp, options, solved);
            MapWitness? witness = solved ? MapWitness.Of(A, value, null) : null;
            return NewtonStep.Solution(value, Residual, primal, A, lambda, order, witness);

            Tensor Residual(Tensor x)
            {
                Tensor F = Augmented.TransposedProduct(A, b.sub(Augmented.Product(A, x)));
                return primal.Damped(lambda, x0 is null ? x : x.sub(x0)) is Tensor damped ? F.sub(damped) : F;
            }
        }
        var dual = new NormalSystem(A.T, damp, options, solved);
        Tensor r0 = x0 is null ? b : b.sub(Augmented.Product(A, x0));
        Tensor multiplier = dual.Inverse(A.T, r0);
        if (!double.IsFinite(Vectors.Norm(multiplier.detach()))) {     // NaN was asked for: of the gradients, not of the value
            dual = new NormalSystem(A.T, damp, options, forwardConverged: false);
            multiplier = zeros_like(multiplier);
        }
        Tensor y = NewtonStep.Solution(multiplier, v => r0.sub(dual.Product(A.T, lambda, v)), dual, A.T, lambda, order,
            solved ? MapWitness.Of(A.T, multiplier, null) : null);
        Tensor x = Augmented.TransposedProduct(A, y);
        x = x0 is null ? x : Vectors.Sum(x0, x);
        return Vectors.Sum(value, x.sub(x.detach()));   // LSMR's value
    }
}
