using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <content>The metric of <see cref="ProjectionOrder.Metric"/>: Adam's, from the gradients that the optimizer is given.</content>
public sealed partial class NullSpaceOptimizer
{
    private readonly Dictionary<Parameter, (Tensor Mean, long Count)> squares = new(ReferenceEqualityComparer.Instance);

    /// <summary>How slowly the mean of squared gradients forgets, Adam's β₂; from 0 to below 1. Default 0.999.</summary>
    public double MetricDecay
    {
        get;
        set => field = value is >= 0 and < 1 ? value : throw new ArgumentException($"MetricDecay must be from 0 to below 1, but is {Text.Exact(value)}.", nameof(value));
    } = 0.999;

    /// <summary>What is added to √v, Adam's ε: the inner optimizer's own, or the metric is another than its. Over 0; default 1e-8.</summary>
    public double MetricEpsilon
    {
        get;
        set => field = value > 0 && double.IsFinite(value) ? value : throw new ArgumentException($"MetricEpsilon must be over 0 and finite, but is {Text.Exact(value)}.", nameof(value));
    } = 1e-8;

    // v = beta v + (1 - beta) g²
    private void UpdateMetric(IReadOnlyList<Parameter> given)
    {
        using var guard = no_grad();
        HashSet<nint> read = [.. given.Select(ParameterIdentity.Of)];
        foreach (Parameter parameter in parameters.Where(p => read.Contains(ParameterIdentity.Of(p)))) {
            using Tensor? gradient = parameter.grad;
            if (gradient is null)
                continue;
            (Tensor mean, long count) = squares.TryGetValue(parameter, out var known) ? known : (zeros_like(parameter).DetachFromDisposeScope(), 0);
            using Scalar share = 1 - MetricDecay;
            Vectors.Scale(mean, MetricDecay);
            mean.addcmul_(gradient, gradient, share);
            squares[parameter] = (mean, count + 1);
        }
    }

    // The root of D = 1 / (√v̂ + ε), all of it divided by its mean, so that the damping means the same as without; 1 where there was no gradient.
    private Tensor RootMetric(Parameter[] moving)
    {
        using var scope = NewDisposeScope();
        Tensor[] parts = [.. moving.Select(Inverse)];
        Tensor metric = Vectors.Flatten(parts).clone();
        double mean = Vectors.Read(metric.mean().to(float64));
        if (!double.IsFinite(mean))
            throw new ArgumentException(
                $"MetricEpsilon must be large enough for 1/(√v + ε) to be finite in {metric.dtype}, but is "
                + $"{Text.Exact(MetricEpsilon)}.");
        Vectors.Divide(metric, mean);
        return scope.MoveToOuter(metric.sqrt());

        Tensor Inverse(Parameter parameter)
        {
            if (!squares.TryGetValue(parameter, out (Tensor Mean, long Count) found))
                return ones_like(parameter).detach();
            Tensor unbiased = found.Mean.clone();
            Vectors.Divide(unbiased, 1 - Math.Pow(MetricDecay, found.Count));
            using Scalar epsilon = MetricEpsilon;
            return unbiased.sqrt_().add_(epsilon).reciprocal_();
        }
    }
}
