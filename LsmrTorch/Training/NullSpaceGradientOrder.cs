using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <content><see cref="ProjectionOrder.Gradient"/>: the gradient whose step by plain descent is the projected
/// one.</content>
public sealed partial class NullSpaceOptimizer
{
    // With Delta = -H g, H the learning rates: g' = g + H⁻¹ J⁺ (J Delta + kappa c), so that -H g' = Delta'; the inner
    // optimizer goes on from g'. What has no rate cannot move, so that J is taken without its columns: D is 0 there,
    // and 1 elsewhere.
    private NullSpaceReport ProjectGradient(Parameter[] moving, double[] learningRates, double rate)
    {
        if (learningRates.All(eta => eta == 0))     // nothing moves, whatever the gradient
            return InnerAlone(null);
        NullSpaceReport report;
        using (no_grad()) {
            // A gradient that no step will use may be anything.
            IEnumerable<Tensor> gradients = moving.Zip(learningRates,
                (p, eta) => eta != 0 && p.grad is { } g ? g.detach() : zeros_like(p));
            Tensor descent = Vectors.Flatten(gradients).clone();
            Tensor[] parts = Vectors.Split(descent, [.. moving.Select(p => p.shape)]);
            foreach ((Tensor part, double eta) in parts.Zip(learningRates))
                Vectors.Scale(part, -eta);
            (Tensor c, LinearOperator J) = Linearized(moving);
            if (c.numel() == 0) {
                InnerAlone(null);
                return NullSpaceReport.Unconstrained with { StepNorm = Vectors.Norm(descent) };
            }
            (Tensor correction, report) = Correction(moving, J, c, descent, rate, Movable(moving, learningRates));
            if (!report.Applied)
                return report;
            Vectors.AddScaled(descent, -1, correction);
            foreach ((Tensor part, double eta) in parts.Zip(learningRates).Where(pair => pair.Second != 0))
                Vectors.Scale(part, -1 / eta);
            (Parameter Parameter, Tensor Projected)[] changed =
                [.. moving.Zip(parts).Where((_, i) => learningRates[i] != 0)];
            if (!Fit([.. changed.Select(one => one.Projected)]))
                return report with { Applied = false, Stop = LsmrStop.NonFinite };
            foreach ((Parameter parameter, Tensor projected) in changed) {
                if (parameter.grad is { } g)
                    g.copy_(projected);
                else
                    parameter.grad = projected.clone();
            }
        }
        Inner.step();
        return report;
    }

    private static Tensor? Movable(Parameter[] moving, double[] learningRates)
    {
        if (learningRates.All(eta => eta != 0))
            return null;
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return scope.MoveToOuter(Vectors.Flatten(
            moving.Zip(learningRates, (p, eta) => eta == 0 ? zeros_like(p) : ones_like(p))));
    }

    // How fast plain descent moves each parameter along its negative gradient: below 0 where the optimizer maximises,
    // and 0 where it is not one of the inner optimizer's.
    private double[] LearningRates(Parameter[] moving)
    {
        optim.ILearningRateController[] groups = [.. Inner.ParamGroups ?? []];
        foreach (optim.ILearningRateController group in groups) {
            if (!double.IsFinite(group.LearningRate))
                throw new ArgumentException(
                    $"A learning rate must be finite, but is {Text.Exact(group.LearningRate)}.");
        }
        if (Inner is not OptimizerHelper || groups.Length == 0
            || !groups.All(group => group is ParamGroup { Parameters: not null })) {
            double[] rates = [.. groups.Select(group => group.LearningRate).Distinct()];
            return rates.Length == 1
                ? [.. moving.Select(_ => rates[0])]
                : throw new ArgumentException(
                    $"{Inner.GetType().Name} does not tell which parameters have which learning rate "
                    + $"({string.Join(", ", rates.Select(r => Text.Exact(r)))}): use ProjectionOrder.Step.");
        }
        var rateOf = new Dictionary<nint, double>();
        foreach (ParamGroup group in groups.Cast<ParamGroup>()) {
            foreach (Parameter parameter in group.Parameters)
                rateOf[ParameterIdentity.Of(parameter)] = (Maximises(group.Options) ? -1 : 1) * group.LearningRate;
        }
        return [.. moving.Select(p => rateOf.GetValueOrDefault(ParameterIdentity.Of(p)))];
    }

    // TorchSharp's options have a field for it, each type its own.
    private static bool Maximises(OptimizerOptions? options) =>
        options?.GetType().GetField("maximize")?.GetValue(options) is true;
}
