using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// J v ≈ (c(θ + hv) − c(θ))/h. The parameters are moved through tensors that share their memory and not their version counter, so that a graph that was
/// recorded at θ stays valid once they are back. Each evaluation draws the random numbers that c(θ) drew, where they
/// come from the default generator of the CPU. The tensors belong to the dispose scope in which it is made.
/// </summary>
internal sealed class DifferenceQuotient
{
    private readonly Func<Tensor> residual;
    private readonly Tensor at;                 // c(θ)
    private readonly Tensor[] memory, before;   // the parameters' own memory, and θ
    private readonly double step;               // h ‖v‖
    private readonly Tensor? drawnFrom;         // the generator before c(θ) drew numbers

    /// <param name="residual">c of the parameters.</param>
    /// <param name="at">c(θ), which was evaluated last.</param>
    /// <param name="parameters">They hold θ.</param>
    /// <param name="generator">The state of the default generator before c(θ) was evaluated.</param>
    public DifferenceQuotient(Func<Tensor> residual, Tensor at, IReadOnlyList<Parameter> parameters, Tensor generator)
    {
        (this.residual, this.at) = (residual, at);
        using var scope = NewDisposeScope();
        if (get_rng_state().ne(generator).any().item<bool>())
            drawnFrom = scope.MoveToOuter(generator.clone());
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
        Tensor? after = drawnFrom is null ? null : get_rng_state();
        try {
            if (drawnFrom is not null)
                set_rng_state(drawnFrom);
            using Scalar factor = h;
            foreach ((Tensor place, Tensor part) in memory.Zip(v))
                place.add_(part, factor);
            using (enable_grad())       // the residual may differentiate inside
                moved = residual().detach();
        } finally {
            if (after is not null)
                set_rng_state(after);
            foreach ((Tensor place, Tensor part) in memory.Zip(before))
                place.copy_(part);
        }
        Tensor difference = moved.sub(at);
        Vectors.Scale(difference, 1 / h);
        return scope.MoveToOuter(difference);
    }
}
