using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// The weights of a network's convolutions and linear layers (no biases, no batch normalisation), ranked together by
/// magnitude. A mask is one flat bool tensor over all of them, true where a weight is to vanish.
/// </summary>
internal sealed class PrunableWeights
{
    private readonly long[] _sizes;

    public PrunableWeights(nn.Module model)
    {
        Parameters = [.. model.named_parameters().Select(entry => entry.parameter).Where(parameter => parameter.dim() >= 2)];
        _sizes = [.. Parameters.Select(parameter => parameter.numel())];
        Count = _sizes.Sum();
    }

    /// <summary>The weights' tensors, in the order of a mask.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>How many weights there are.</summary>
    public long Count { get; }

    /// <summary>How many weights make up at least this share.</summary>
    public long CountFor(double share) => Math.Min(Count, (long)Math.Ceiling((share * Count) - 1e-6));

    /// <summary>The mask of the smallest weights, exactly <see cref="CountFor"/> of them; the caller owns it.</summary>
    public Tensor ChooseSmallest(double share)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        using Scalar chosen = true.ToScalar();
        Tensor magnitudes = Flat().abs();
        Tensor smallest = magnitudes.topk((int)CountFor(share), largest: false, sorted: false).indexes;
        Tensor mask = zeros(Count, ScalarType.Bool, magnitudes.device).index_fill_(0, smallest, chosen);
        return mask.MoveToOuterDisposeScope();
    }

    /// <summary>The mask of the smallest of every layer, whose shares differ and make up exactly <see cref="CountFor"/> weights; the caller owns it.</summary>
    public Tensor ChooseSmallestPerLayer(double share)
    {
        using var scope = NewDisposeScope();
        return cat([.. SparsityMask.SmallestPerLayer(Parameters, share).Select(pair => pair.Mask.reshape(-1))]).MoveToOuterDisposeScope();
    }

    /// <summary>The mask in pieces of the parameters' shapes, which share its memory.</summary>
    public IReadOnlyList<(Parameter Parameter, Tensor Mask)> Split(Tensor mask) =>
        [.. Parameters.Zip(mask.split(_sizes), (parameter, piece) => (parameter, piece.view(parameter.shape)))];

    /// <summary>Sets the chosen weights to exactly zero.</summary>
    public void Zero(Tensor mask)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        using Scalar zero = 0.0f.ToScalar();
        foreach ((Parameter parameter, Tensor piece) in Split(mask)) {
            parameter.masked_fill_(piece, zero);
        }
    }

    /// <summary>How many weights are exactly zero.</summary>
    public long CountZeros()
    {
        using var scope = NewDisposeScope();
        return Count - Parameters.Sum(parameter => parameter.count_nonzero().item<long>());
    }

    /// <summary>The root mean square of the chosen weights, ‖c‖/√k.</summary>
    public double RootMeanSquare(Tensor mask)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Tensor chosen = Flat().masked_select(mask);
        return chosen.norm().item<float>() / Math.Sqrt(Math.Max(1, chosen.numel()));
    }

    /// <summary>All weights in one vector, a copy; the caller owns it.</summary>
    public Tensor Flat()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        return cat([.. Parameters.Select(parameter => parameter.reshape(-1))], 0).MoveToOuterDisposeScope();
    }
}
