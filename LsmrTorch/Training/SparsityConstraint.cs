using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>c = the masked entries; J v picks them from v, Jᵀu puts them back among zeros.</summary>
internal sealed class SparsityConstraint : Constraint
{
    private readonly (Parameter Parameter, Tensor Mask)[] masks;

    public SparsityConstraint((Parameter Parameter, Tensor Mask)[] masks)
    {
        foreach ((Parameter parameter, Tensor mask) in masks) {
            ParameterIdentity.RequireAlive(parameter, nameof(masks));
            ArgumentNullException.ThrowIfNull(mask, nameof(masks));
            if (mask.dtype != ScalarType.Bool || !mask.shape.SequenceEqual(parameter.shape))
                throw new ArgumentException($"A mask must be bool and of its parameter's shape {Text.Shape(parameter.shape)}, but is {mask.dtype} of {Text.Shape(mask.shape)}.", nameof(masks));
        }
        ParameterIdentity.RequireOnce([.. masks.Select(pair => pair.Parameter)],
            "Masks (join two of one parameter by logical_or)");
        this.masks = masks;
    }

    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        RequireAmong(parameters);
        // Where a parameter has no mask, nothing of it is picked.
        Tensor picked = Vectors.Flatten(parameters.Select(p => MaskOf(p) ?? zeros(p.shape, ScalarType.Bool, p.device))).nonzero().reshape(-1);
        Tensor theta = Vectors.Flatten(parameters.Select(p => p.detach()));
        return (theta.index_select(0, picked), new Selection(picked, theta));
    }

    // Δ' = Δ − Jᵀz with z = (JΔ + κc)/(1 + λ²); with λ = 0 the picked entries become (1 − κ)θ, to the bit.
    internal override NullSpaceReport? StepDirectly(IReadOnlyList<Parameter> parameters, IReadOnlyList<Tensor> before, double rate, double damp)
    {
        RequireAmong(parameters);
        long count = masks.Sum(pair => Marked(pair.Mask));
        if (count == 0)
            return null;
        double square = damp * damp * count;            // λ²: damp is relative to the root mean square of c
        double residual = 0, predicted = 0, step = 0, correction = 0;
        for (int i = 0; i < parameters.Count; i++) {
            using var scope = NewDisposeScope();
            Tensor theta = parameters[i].detach();
            step = double.Hypot(step, Vectors.Norm(theta.sub(before[i])));
            if (MaskOf(parameters[i]) is not { } mask)
                continue;
            Tensor c = before[i].mul(mask), rest = c.clone();
            Vectors.Scale(rest, 1 - rate);
            Tensor z = theta.mul(mask).sub(rest);
            Vectors.Divide(z, 1 + square);
            residual = double.Hypot(residual, Vectors.Norm(c));
            correction = double.Hypot(correction, Vectors.Norm(z));
            theta.copy_(square == 0 ? rest.where(mask, theta) : theta.sub(z));
            Vectors.AddScaled(rest, square, z);         // c + JΔ' = (1 − κ)c + λ²z
            predicted = double.Hypot(predicted, Vectors.Norm(rest));
        }
        double scale = Math.Sqrt(count);
        bool isFinite = double.IsFinite(residual + correction + step);
        return new NullSpaceReport {
            ConstraintNorm = residual / scale,
            PredictedConstraintNorm = predicted / scale,
            StepNorm = step,
            CorrectionNorm = correction,
            Damp = damp,
            Iterations = 0,
            Stop = isFinite ? LsmrStop.Residual : LsmrStop.NonFinite,
            ConditionEstimate = 1,
            FreeShare = null,
            Applied = isFinite,
        };
    }

    private static long Marked(Tensor mask)
    {
        using Tensor count = mask.count_nonzero();
        return count.item<long>();
    }

    private Tensor? MaskOf(Parameter parameter)
    {
        nint sought = ParameterIdentity.Of(parameter);
        return masks.FirstOrDefault(pair => ParameterIdentity.Of(pair.Parameter) == sought).Mask;
    }

    private void RequireAmong(IReadOnlyList<Parameter> parameters)
    {
        ParameterIdentity.RequireOnce(parameters, "The parameters that may move");
        foreach ((Parameter masked, _) in masks) {
            if (BlockJacobian.Place(parameters, masked) < 0)
                throw new ArgumentException($"A mask belongs to a parameter of shape {Text.Shape(masked.shape)} that is not among those that may move.");
        }
    }

    private sealed class Selection(Tensor picked, Tensor like) : LinearOperator([like.numel()], [picked.numel()], like.dtype, like.device)
    {
        protected internal override Tensor MatVec(Tensor v) => v.index_select(0, picked);

        protected internal override Tensor VecMat(Tensor u)
        {
            using Tensor zero = zeros([.. InputShape], dtype, device);
            return zero.index_copy(0, picked, u);
        }
    }
}
