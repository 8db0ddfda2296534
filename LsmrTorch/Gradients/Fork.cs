using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The two uses that a Newton step makes of the x before it: as what is corrected, and in F. In a pass that records a graph
/// their cotangents g and −H(θ)u cancel (see <see cref="NewtonStep"/>); what is left then is rounding, for which no solve is to be paid.
/// </summary>
internal sealed class Fork : autograd.MultiTensorFunction<Fork>
{
    public override string Name => nameof(Fork);

    private sealed record State(int Order, double Tolerance);

    /// <summary>x twice; <paramref name="order"/> says how often x itself can be differentiated.</summary>
    public static (Tensor Corrected, Tensor InResidual) Of(Tensor x, int order, NormalSystem system)
    {
        using Tensor spare = BackwardPass.Spare(x);
        List<Tensor> both = apply(spare, x, new State(order, system.Settings.ToleranceIn(x.dtype)));
        return (both[0], both[1]);
    }

    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var x = (Tensor)vars[1];
        ctx.set_materialize_grads(false);
        ctx.save_data(nameof(State), vars[2]);
        return [x.detach(), x.detach()];
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> gradients) => BackwardPass.Run(3, () => {
        var state = (State)ctx.get_data(nameof(State));
        (Tensor corrected, Tensor inResidual) = (gradients[0], gradients[1]);
        if (corrected.IsInvalid || inResidual.IsInvalid)
            return [corrected.IsInvalid ? (inResidual.IsInvalid ? null : inResidual.alias()) : corrected.alias()];
        Tensor sum = Vectors.Sum(corrected, inResidual);
        if (!is_grad_enabled())
            return [sum];
        // In the first pass the sum is zero with all derivatives that count. Of order 2 no other pass records; of a higher one
        // others do, and add to F's share, so that the graph is kept and only the rounding dropped.
        if (state.Order == 1)
            return [null];
        bool cancels = Vectors.Norm(sum) <= state.Tolerance * (Vectors.Norm(corrected) + Vectors.Norm(inResidual));
        return [cancels ? sum.sub(sum.detach()) : sum];
    });
}
