using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>The mean of a network's weights over its last steps, in which the noise of single steps cancels (Polyak and Juditsky 1992).</summary>
internal sealed class WeightAverage(string lane, IReadOnlyList<Parameter> parameters) : IDisposable
{
    private readonly Tensor[] _means = [.. parameters.Select(parameter => zeros_like(parameter).detach().DetachFromDisposeScope())];
    private long _count;

    private string CountKey => $"{lane}/average/count";

    /// <summary>Counts the weights as they are now.</summary>
    public void Add()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        _count++;
        using Scalar share = 1f / _count;
        foreach ((Tensor mean, Parameter parameter) in _means.Zip(parameters)) {
            mean.add_(parameter.sub(mean), share);
        }
    }

    /// <summary>Gives the network the mean.</summary>
    public void Apply()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        foreach ((Tensor mean, Parameter parameter) in _means.Zip(parameters)) {
            parameter.copy_(mean);
        }
    }

    /// <summary>Puts what has been counted into a checkpoint.</summary>
    public void Save(Dictionary<string, Tensor> tensors)
    {
        tensors[CountKey] = tensor(_count);
        for (int i = 0; i < _means.Length; i++) {
            tensors[Key(i)] = _means[i];
        }
    }

    /// <summary>Takes it from there.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        using IDisposable frozen = no_grad();
        _count = tensors[CountKey].item<long>();
        for (int i = 0; i < _means.Length; i++) {
            _means[i].copy_(tensors[Key(i)]);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor mean in _means) {
            mean.Dispose();
        }
    }

    private string Key(int place) => $"{lane}/average/{place}";
}
