using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <content>The running mean of corrections (the momentum of Polyak 1964), for constraints on data that every step draws anew.</content>
public sealed partial class NullSpaceOptimizer
{
    private readonly Dictionary<Parameter, Tensor> meanCorrections = new(ReferenceEqualityComparer.Instance);

    /// <summary>
    /// β, from 0 to below 1: what is taken from the inner optimizer's step is m ← βm + (1 − β)z, the running mean of the corrections z = J⁺(JΔ + κc), in place of the last one. Every correction
    /// is still taken in full, a share of 1 − β at first and the rest in the steps that follow, so that c falls over some 1/(1 − β) of them. Where c is on data that
    /// each step draws anew, z is long and belongs to its sample; the mean is shorter and keeps what the samples have in common.
    /// Not with <see cref="ProjectionOrder.Gradient"/>, whose mean is the inner optimizer's momentum. Default 0: the last correction alone.
    /// </summary>
    /// <exception cref="ArgumentException">It is out of range.</exception>
    public double Smoothing
    {
        get;
        set => field = value is >= 0 and < 1 ? value : throw new ArgumentException($"Smoothing must be from 0 to below 1, but is {Text.Exact(value)}.", nameof(value));
    }

    // m = beta m + (1 - beta) z, for those that move; z where nothing is smoothed.
    private Tensor Smoothed(Parameter[] moving, Tensor correction)
    {
        if (Smoothing == 0)
            return correction;
        using var scope = NewDisposeScope();
        foreach ((Parameter parameter, Tensor z) in moving.Zip(Vectors.Split(correction, [.. moving.Select(p => p.shape)]))) {
            if (!meanCorrections.TryGetValue(parameter, out Tensor? mean))
                meanCorrections[parameter] = mean = zeros_like(parameter).detach().DetachFromDisposeScope();
            Vectors.Scale(mean, Smoothing);
            Vectors.AddScaled(mean, 1 - Smoothing, z);
        }
        return scope.MoveToOuter(Vectors.Flatten(moving.Select(parameter => meanCorrections[parameter])));
    }
}
