using System.Diagnostics;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// A network with its optimizer on its way through the training data. All lanes of a phase take a step on the same
/// batch before any takes the next, so that their times are measured side by side. This one trains dense.
/// </summary>
internal class Lane : IDisposable
{
    private static readonly Scalar s_zero = 0.0f.ToScalar();
    private Tensor? _mask;

    public Lane(string name, SparsitySizes sizes, long seed, Device device)
    {
        Name = name;
        Sizes = sizes;
        Model = sizes.NewNetwork(seed);
        Model.to(device);
        Weights = new PrunableWeights(Model);
        Inner = optim.SGD(Model.parameters(), 0, momentum: sizes.Momentum, weight_decay: sizes.WeightDecay);
    }

    /// <summary>The word for it in metrics, figures and plots.</summary>
    public string Name { get; }

    public nn.Module<Tensor, Tensor> Model { get; }

    public PrunableWeights Weights { get; }

    /// <summary>The weights that are to vanish, or null; setting it frees the mask before it.</summary>
    public Tensor? Mask
    {
        get => _mask;
        protected set
        {
            _mask?.Dispose();
            _mask = value?.DetachFromDisposeScope();
        }
    }

    protected SparsitySizes Sizes { get; }

    /// <summary>SGD with momentum and weight decay.</summary>
    protected SGD Inner { get; }

    /// <summary>One step; returns the loss and how many images were right before it, and the seconds it took.</summary>
    public LaneStep Step(Batch batch, int step, double learningRate)
    {
        var watch = Stopwatch.StartNew();
        using var scope = NewDisposeScope();
        Model.train();
        foreach (optim.ILearningRateController group in Inner.ParamGroups) {
            group.LearningRate = learningRate;
        }
        BeforeGradient(step);
        foreach (Parameter parameter in Model.parameters()) {
            parameter.grad?.fill_(s_zero);
        }
        Tensor logits = Model.forward(batch.Images);
        Tensor loss = nn.functional.cross_entropy(logits, batch.Labels);
        loss.backward();
        Update(step);
        float value = loss.item<float>();
        double seconds = watch.Elapsed.TotalSeconds;
        if (!float.IsFinite(value)) {
            throw new ExperimentException($"The loss of '{Name}' is {value} after step {step}; its learning rate is too high.");
        }
        return new LaneStep(value, logits.argmax(1).eq(batch.Labels).sum().item<long>(), seconds);
    }

    /// <summary>Takes the weights and batch statistics of another network.</summary>
    public void CopyFrom(Lane other)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Dictionary<string, Tensor> source = other.Model.state_dict();
        foreach ((string key, Tensor target) in Model.state_dict()) {
            target.copy_(source[key]);
        }
    }

    /// <summary>Puts weights, batch statistics, momentum and mask into a checkpoint.</summary>
    public void Save(Dictionary<string, Tensor> tensors)
    {
        foreach ((string key, Tensor tensor) in Model.state_dict()) {
            tensors[$"{Name}/model/{key}"] = tensor;
        }
        int index = 0;
        foreach (SGD.State state in Momenta()) {
            if (state.momentum_buffer is not null) {
                tensors[$"{Name}/momentum/{index}"] = state.momentum_buffer;
            }
            index++;
        }
        if (Mask is not null) {
            tensors[$"{Name}/mask"] = Mask;
        }
    }

    /// <summary>Takes them from a checkpoint of a run with the same sizes.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        foreach ((string key, Tensor target) in Model.state_dict()) {
            target.copy_(tensors[$"{Name}/model/{key}"]);
        }
        Device device = Weights.Parameters[0].device;
        int index = 0;
        foreach (SGD.State state in Momenta()) {
            if (tensors.TryGetValue($"{Name}/momentum/{index}", out Tensor? buffer)) {
                state.momentum_buffer = buffer.to(device, copy: true).DetachFromDisposeScope();
            }
            index++;
        }
        if (tensors.TryGetValue($"{Name}/mask", out Tensor? mask)) {
            Mask = mask.to(device, copy: true);
            MaskChanged();
        }
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        Mask = null;
        Inner.Dispose();
        Model.Dispose();
    }

    /// <summary>What happens to the weights before the gradient is taken.</summary>
    protected virtual void BeforeGradient(int step)
    {
    }

    /// <summary>What happens to the weights once they have a gradient.</summary>
    protected virtual void Update(int step) => Inner.step();

    /// <summary>Called when a mask has been loaded.</summary>
    protected virtual void MaskChanged()
    {
    }

    private IEnumerable<SGD.State> Momenta() => Inner.state_dict().State.Cast<SGD.State>();
}

/// <summary>What a step did: the mean loss of its batch, right answers in it, seconds.</summary>
internal readonly record struct LaneStep(double Loss, long Correct, double Seconds);
