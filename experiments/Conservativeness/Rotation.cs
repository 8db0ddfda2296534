using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>
/// c = σ² (S − Sᵀ)v at noisy points, S the Jacobian of the score: zero where the score is a gradient. The factor σ² makes it free
/// of dimension, as σ²S is of the size of 1 at every level.
/// </summary>
internal sealed class Rotation(ScoreTask task, nn.Module<Tensor, Tensor, Tensor> network, int count, JacobianProducts products = JacobianProducts.Derivatives)
{
    private NoisyPoints _batch;
    private Tensor? _probes;

    /// <summary>The constraint at the points of <see cref="At"/>.</summary>
    public Constraint Constraint => Constraint.Conservativeness(Field, () => _batch.Points, _ => _probes!, products);

    /// <summary>Draws the points of a step; they belong to the caller's scope.</summary>
    public Rotation At(long step)
    {
        _batch = task.Batch("rotation", step, count);
        _probes = task.Probes("probes", step, _batch.Points);
        return this;
    }

    /// <summary>c at these points with a graph to the parameters, for a penalty.</summary>
    public Tensor Residual()
    {
        using var scope = NewDisposeScope();
        Tensor x = _batch.Points.detach().requires_grad_(), v = _probes!;
        Tensor field = Field(x), w = zeros_like(v).requires_grad_();
        Tensor transposed = Gradient.Differentiable(field.mul(v).sum(), x)[0];
        Tensor straight = Gradient.Differentiable(Gradient.Differentiable(field.mul(w).sum(), x)[0].mul(v).sum(), w)[0];
        return straight.sub(transposed).MoveToOuterDisposeScope();
    }

    private Tensor Field(Tensor x)
    {
        using Tensor value = network.forward(x, _batch.Sigma);
        return value.mul(_batch.Sigma);
    }
}
