using System.Diagnostics;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>
/// A network with its optimizer on its way through the training data. All of one width start from the same weights, and all see the same batches (and some,
/// with more <see cref="Descents"/>, further ones). This one knows of no symmetry.
/// </summary>
internal class EquivarianceLane : IDisposable
{
    private static readonly Scalar s_zero = 0.0f.ToScalar();

    public EquivarianceLane(string name, IReadOnlyList<int> widths, EquivarianceSizes sizes, long seed, Device device)
    {
        (Name, Sizes, Seed) = (name, sizes, seed);
        Model = new FieldNet(widths, seed);
        Model.to(device);
        Parameters = [.. Model.parameters()];
        Inner = optim.SGD(Parameters, 0, momentum: sizes.Momentum, weight_decay: sizes.WeightDecay);
    }

    /// <summary>The word for it in metrics, figures and plots.</summary>
    public string Name { get; }

    public FieldNet Model { get; }

    /// <summary>Batches that it descends on in a step of the run.</summary>
    public virtual int Descents => 1;

    /// <summary>What the last projected step did; null where there is none.</summary>
    public NullSpaceReport? LastStep { get; protected set; }

    protected EquivarianceSizes Sizes { get; }

    protected long Seed { get; }

    protected Parameter[] Parameters { get; }

    protected SGD Inner { get; }

    /// <summary>
    /// One step of the run, on the first <see cref="Descents"/> batches, at a share of the highest learning rate; returns the mean loss before each descent and the seconds it took.
    /// </summary>
    public (double Loss, double Seconds) Step(IReadOnlyList<Batch> batches, int step, double share)
    {
        var watch = Stopwatch.StartNew();
        foreach (optim.ILearningRateController group in Inner.ParamGroups) {
            group.LearningRate = share * Sizes.Peak;
        }
        double loss = batches.Take(Descents).Select((batch, i) => Descend(batch, (step * Descents) + i)).ToArray().Average();
        return (loss, watch.Elapsed.TotalSeconds);
    }

    /// <summary>Puts the weights, momenta and statistics into a checkpoint.</summary>
    public virtual void Save(Dictionary<string, Tensor> tensors)
    {
        int index = 0;
        foreach ((Parameter parameter, SGD.State state) in Parameters.Zip(Momenta())) {
            tensors[$"{Name}/weight/{index}"] = parameter;
            if (state.momentum_buffer is not null) {
                tensors[$"{Name}/momentum/{index}"] = state.momentum_buffer;
            }
            index++;
        }
        foreach ((string name, Tensor buffer) in Model.named_buffers()) {
            tensors[$"{Name}/{name}"] = buffer;
        }
    }

    /// <summary>Takes them from the checkpoint of a run with the same sizes.</summary>
    public virtual void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        int index = 0;
        foreach ((Parameter parameter, SGD.State state) in Parameters.Zip(Momenta())) {
            parameter.copy_(tensors[$"{Name}/weight/{index}"]);
            if (tensors.TryGetValue($"{Name}/momentum/{index}", out Tensor? buffer)) {
                state.momentum_buffer = buffer.to(parameter.device, copy: true).DetachFromDisposeScope();
            }
            index++;
        }
        foreach ((string name, Tensor buffer) in Model.named_buffers()) {
            buffer.copy_(tensors[$"{Name}/{name}"]);
        }
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        Inner.Dispose();
        Model.Dispose();
    }

    /// <summary>What is minimised in a descent; the number of the descent chooses what is random.</summary>
    protected virtual Tensor Loss(Batch batch, int step) => nn.functional.cross_entropy(Model.forward(batch.Images), batch.Labels);

    /// <summary>The same loss of the batch with every image under a random symmetry.</summary>
    protected Tensor AugmentedLoss(Batch batch, int step)
    {
        Tensor images = RandomSymmetries.Of(batch.Images, Seeds.Managed(Seed, "augmentation", step));
        return nn.functional.cross_entropy(Model.forward(images), batch.Labels);
    }

    /// <summary>What happens to the weights once they have a gradient.</summary>
    protected virtual void Update(Batch batch, int step) => Inner.step();

    private double Descend(Batch batch, int step)
    {
        using var scope = NewDisposeScope();
        foreach (Parameter parameter in Parameters) {
            parameter.grad?.fill_(s_zero);
        }
        Tensor loss = Loss(batch, step);
        loss.backward();
        Update(batch, step);
        double value = loss.item<float>();
        return double.IsFinite(value)
            ? value
            : throw new ExperimentException($"The loss of '{Name}' is {value} in step {step}; its learning rate is too high.");
    }

    private IEnumerable<SGD.State> Momenta() => Inner.state_dict().State.Cast<SGD.State>();
}
