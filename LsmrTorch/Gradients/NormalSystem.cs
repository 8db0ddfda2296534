using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// H = BᵀB + λ²I: its inverse at the operator and the λ that were solved with, a constant, and its product for the
/// operator and the λ that gradients flow to.
/// </summary>
internal sealed class NormalSystem(LinearOperator B, double damp, LsmrOptions options, bool forwardConverged)
{
    /// <summary>B; a node saves the tensors that it holds and puts them in their place again.</summary>
    public LinearOperator Operator => B;

    public GradientOptions Settings => options.Gradient;

    /// <summary>H⁻¹g by one CRAIGMR run, with an operator that stands for B. It carries no gradients.</summary>
    /// <exception cref="LsmrException">The run did not converge, or H is singular; what that means, the options say.</exception>
    public Tensor Inverse(LinearOperator current, Tensor g)
    {
        try {
            if (!forwardConverged)
                throw new LsmrException("A solve of the forward pass did not converge.");
            var runs = new BackwardRuns(current, damp, options);
            (_, Tensor w, CraigmrResult run) = runs.Pair(g, Settings.ToleranceIn(g.dtype));
            if (run.Stop == CraigmrStop.Inconsistent)
                throw new LsmrException($"With GradientOptions.Order = {Settings.Order} an undamped operator must have full rank, and this one has not: use a damping above zero, or Order = 1.");
            runs.Accept(run.Converged, run);
            return w;
        } catch (LsmrException failure) when (Settings.WhenUnconverged == Unconverged.NaN) {
            Diagnostics.Fail($"Gradients through a least-squares solution are NaN: {failure.Message}");
            using Tensor shape = g.detach();
            Tensor x = zeros_like(shape);
            Vectors.Fill(x, double.NaN);
            return x;
        }
    }

    /// <summary>H v; gradients reach v, λ as a tensor, and the tensors of <paramref name="current"/>.</summary>
    public Tensor Product(LinearOperator current, Tensor? lambda, Tensor v)
    {
        Tensor product = Augmented.TransposedProduct(current, Augmented.Product(current, v));
        return Damped(lambda, v) is Tensor damped ? Vectors.Sum(product, damped) : product;
    }

    /// <summary>λ²v; null where λ is the number zero.</summary>
    public Tensor? Damped(Tensor? lambda, Tensor v)
    {
        if (lambda is not null)
            return v.mul(lambda).mul(lambda);       // λ² may leave the dtype's range
        return damp == 0 ? null : Vectors.Product(v, damp * damp);
    }
}
