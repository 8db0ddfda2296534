using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The solution x(θ) of F(x, θ) = 0, where F is affine in x with ∂F/∂x = −H(θ), as Newton steps that an autograd graph
/// can differentiate:
/// <code>
///   x₁ = x̄ + H̄⁻¹F(x̄, θ)        x_j = x_j₋₁ + H̄⁻¹F(x_j₋₁, θ)        H̄⁻¹ and x̄ held constant
/// </code>
/// The error of a step is I − H̄⁻¹H(θ) times the one before, so x_j has the right derivatives up to order j. Every step has the
/// value x̄: F is zero there, to the tolerance of the solve, and no correction is computed.
/// </summary>
/// <remarks>
/// A cotangent g of x_j would be one of H̄⁻¹g for F and one of g − H(θ)H̄⁻¹g for x_j₋₁, which is zero with derivatives that are
/// not. Instead, in a pass that records a graph, F gets u(g, θ) = H(θ)⁻¹g, made differentiable once less than x by
/// this very construction (F = g − H(θ)u), so that what x_j₋₁ gets, g − H(θ)u, is zero with its derivatives; and in a pass
/// that records none, x_j₋₁ gets g, since its first derivatives are the same.
/// </remarks>
internal sealed class NewtonStep : autograd.SingleTensorFunction<NewtonStep>
{
    public override string Name => nameof(NewtonStep);

    private sealed class State(NormalSystem system, int step, int order, MapWitness? witness)
    {
        public NormalSystem System { get; } = system;
        public int Step { get; } = step;        // j
        public int Order { get; } = order;      // of the solution, the last step's j
        public Tensor? Value { get; set; }
        public List<Tensor> Saved { get; } = [.. MapWitness.Tensors(witness)];
    }

    /// <summary>The solution with the entries of <paramref name="value"/>, to be differentiated <paramref name="order"/> times.</summary>
    /// <param name="value">x̄, without a graph.</param>
    /// <param name="residual">x ↦ F(x, θ).</param>
    /// <param name="system">H̄.</param>
    /// <param name="current">The operator in H(θ).</param>
    /// <param name="lambda">λ in H(θ), where it is a tensor.</param>
    /// <param name="order">1 or more.</param>
    /// <param name="witness">Products of the operator that was solved with.</param>
    public static Tensor Solution(Tensor value, Func<Tensor, Tensor> residual, NormalSystem system,
        LinearOperator current, Tensor? lambda, int order, MapWitness? witness)
    {
        Tensor x = value;
        for (int j = 1; j <= order; j++) {
            (Tensor? before, Tensor at) = j == 1 ? (null, value) : Fork.Of(x, order: j - 1, system);
            Tensor F = residual(at);
            if (!F.requires_grad)
                return value;
            x = Join(value, before, F, new State(system, j, order, witness), current, lambda);
        }
        return x;
    }

    private static Tensor Join(Tensor value, Tensor? before, Tensor F, State state, LinearOperator current, Tensor? lambda)
    {
        using Tensor spare = BackwardPass.Spare(value);
        state.Value = value;
        state.Saved.AddRange([lambda!, .. current.Held]);
        try {
            return apply(spare, before!, F, state);
        } finally {
            state.Saved.Clear();    // see SolutionFunction
            state.Value = null;
        }
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var state = (State)vars[^1];
        ctx.set_materialize_grads(false);
        ctx.save_for_backward(state.Saved);
        ctx.save_data(nameof(State), state);
        return state.Value!.detach();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor g) => BackwardPass.Run(4, () => {
        var state = (State)ctx.get_data(nameof(State));
        NormalSystem system = state.System;
        if (g.IsInvalid)
            return [];
        List<Tensor> saved = BackwardPass.Saved(ctx);
        MapWitness? witness = MapWitness.From(saved[..MapWitness.Length]);
        Tensor? lambda = saved[MapWitness.Length];
        LinearOperator current = system.Operator.With(new Queue<Tensor>(saved.Skip(MapWitness.Length + 1)));
        if (state.Step == state.Order)          // the first node that a pass comes to, before those that F recorded
            witness?.Holds(current.Prepare(), system.Settings);
        if (!is_grad_enabled() && state.Step > 1)
            return [g.alias(), null];
        if (!is_grad_enabled())
            return [null, system.Inverse(current, g)];
        if (state.Step == 1)
            throw new NotSupportedException($"A solution with GradientOptions.Order = {system.Settings.Order} was differentiated more often (or the last time with create_graph: true); use a higher Order.");
        Tensor u = system.Inverse(current, g);
        Tensor Residual(Tensor v) => g.sub(system.Product(current, lambda, v));
        return [g.alias(), Solution(u, Residual, system, current, lambda, state.Order - 1, witness)];
    });
}
