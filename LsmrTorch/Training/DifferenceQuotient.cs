using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// J v ≈ (c(θ + hv) − c(θ))/h. The parameters are moved through tensors that share their memory and not their version counter, so that a graph that was
/// recorded at θ stays valid once they are back. The tensors belong to the dispose scope in which it is made.
/// </summary>
internal sealed class DifferenceQuotient
{
    private readonly Func<Tensor> residual;
    private readonly Tensor at;                 // c(θ)
    private readonly Tensor[] memory, before;   // the parameters' own memory, and θ
    private readonly double step;               // h ‖v‖

    public DifferenceQuotient(Func<Tensor> residual, Tensor at, IReadOnlyList<Parameter> parameters)
    {
        (this.residual, this.at) = (residual, at);
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        memory = [.. parameters.Select(p => scope.MoveToOuter(empty(0, p.dtype, p.device).set_(p.detach())))];
        before = [.. parameters.Select(p => scope.MoveToOuter(p.detach().clone()))];
        double size = Math.Sqrt(before.Sum(part => Vectors.Norm(part) is var norm ? norm * norm : 0));
        step = Math.Sqrt(Vectors.Epsilon(at.dtype)) / 3 * (1 + size);
    }

    /// <summary>J v for v with an entry for each parameter and ‖v‖ = <paramref name="norm"/>, of c's shape; the caller's.</summary>
    public Tensor Product(IReadOnlyList<Tensor> v, double norm)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        if (norm == 0)
            return scope.MoveToOuter(zeros_like(at));
        double h = step / norm;
        Tensor moved;
        try {
            using Scalar factor = h;
            foreach ((Tensor place, Tensor part) in memory.Zip(v))
                place.add_(part, factor);
            using (enable_grad())       // the residual may differentiate inside
                moved = residual().detach();
        } finally {
            foreach ((Tensor place, Tensor part) in memory.Zip(before))
                place.copy_(part);
        }
        Tensor difference = moved.sub(at);
        Vectors.Scale(difference, 1 / h);
        return scope.MoveToOuter(difference);
    }
}
