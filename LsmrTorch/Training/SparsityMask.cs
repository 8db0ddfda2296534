using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Which weights are to vanish, for <see cref="Constraint.Sparsity"/>.</summary>
public static class SparsityMask
{
    /// <summary>
    /// Marks the smallest weights by magnitude, ranked together over all parameters, each once: exactly ⌈share · n⌉ of
    /// the n. The masks are new tensors in the current dispose scope.
    /// </summary>
    /// <exception cref="ArgumentException">The share is not from 0 to 1; there is no parameter; two share memory; a
    /// weight is NaN.</exception>
    public static (Parameter Parameter, Tensor Mask)[] Smallest(IEnumerable<Parameter> parameters, double share)
    {
        Parameter[] all = ParameterIdentity.Distinct(parameters, nameof(parameters));
        long count = Count(all, share);
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor chosen = SmallestOf(Vectors.Flatten(all.Select(p => p.detach())), count);
        Tensor[] pieces = Vectors.Split(chosen, [.. all.Select(p => p.shape)]);
        return [.. all.Zip(pieces, (parameter, piece) => (parameter, scope.MoveToOuter(piece.clone())))];
    }

    /// <summary>
    /// Marks the smallest weights of each parameter by magnitude, exactly ⌈share · n⌉ of the n of all parameters. A parameter keeps weights in
    /// proportion to the sum of its dimensions, and at most all it has, so that small layers stay denser than large ones (the Erdős–Rényi kernel of Evci, Gale,
    /// Menick, Castro and Elsen 2020, section 3). The masks are new tensors in the current dispose scope.
    /// </summary>
    /// <exception cref="ArgumentException">The share is not from 0 to 1; there is no parameter; two share memory; a
    /// weight is NaN.</exception>
    public static (Parameter Parameter, Tensor Mask)[] SmallestPerLayer(IEnumerable<Parameter> parameters, double share)
    {
        Parameter[] all = ParameterIdentity.Distinct(parameters, nameof(parameters));
        long left = all.Sum(p => p.numel()) - Count(all, share);
        double sums = all.Sum(SumOfDimensions);
        var counts = new long[all.Length];
        // The densest first: where none of those is full, none after it will be, and the last takes what rounding left.
        foreach (int i in Enumerable.Range(0, all.Length).OrderByDescending(i => SumOfDimensions(all[i]) / all[i].numel())) {
            long kept = Math.Min(all[i].numel(), (long)Math.Round(left * SumOfDimensions(all[i]) / sums));
            counts[i] = all[i].numel() - kept;
            left -= kept;
            sums -= SumOfDimensions(all[i]);
        }
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return [.. all.Zip(counts, (parameter, count) => (parameter, scope.MoveToOuter(SmallestOf(parameter.detach().reshape(-1), count).reshape(parameter.shape))))];
    }

    private static double SumOfDimensions(Parameter parameter) => Math.Max(1, parameter.shape.Sum());

    private static long Count(Parameter[] parameters, double share)
    {
        if (parameters.Length == 0)
            throw new ArgumentException("There must be at least one parameter.", nameof(parameters));
        if (!(share is >= 0 and <= 1))
            throw new ArgumentException($"The share must be from 0 to 1, but is {Text.Exact(share)}.", nameof(share));
        long all = parameters.Sum(p => p.numel());
        return Math.Min(all, (long)Math.Ceiling(share * all - 1e-6));   // 0.9 * 10 is 9, not 10
    }

    // Marks so many entries of a vector, of equal ones the first.
    private static Tensor SmallestOf(Tensor weights, long count)
    {
        Tensor chosen = zeros(weights.numel(), ScalarType.Bool, weights.device);
        if (count == 0)
            return chosen;
        using Scalar marked = true;
        Tensor magnitudes = weights.abs();
        if (magnitudes.isnan().any().item<bool>())
            throw new ArgumentException("Weights must be numbers to be ranked, but some are NaN.");
        Tensor largest = magnitudes.kthvalue(count, 0).values;
        chosen = magnitudes.less(largest);
        long ties = count - chosen.count_nonzero().item<long>();
        return chosen.index_fill_(0, magnitudes.eq(largest).nonzero().reshape(-1).narrow(0, 0, ties), marked);
    }
}
