using System.Diagnostics;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>A network with its Adam on its way through the steps. All see the same training points, and the plain networks start from the same weights.</summary>
internal class InertiaLane : IDisposable
{
    private static readonly Scalar s_zero = 0.0f.ToScalar();
    private readonly double _peak; // of the learning rate

    public InertiaLane(string name, InertiaSizes sizes, InertiaData data, nn.Module<Tensor, Tensor> network)
    {
        (Name, Sizes, Data, Network) = (name, sizes, data, network);
        Parameters = [.. network.parameters()];
        _peak = network is TensorNet ? sizes.TensorLearningRate : sizes.LearningRate;
        Adam = optim.Adam(Parameters, _peak);
    }

    /// <summary>The word for it in metrics, figures and plots.</summary>
    public string Name { get; }

    public nn.Module<Tensor, Tensor> Network { get; }

    /// <summary>Whether every point is turned anew before the network sees it.</summary>
    public bool IsAugmented { get; init; }

    /// <summary>λ of λ times the mean square of f(gx) − g f(x) gᵀ; 0 for none.</summary>
    public double Penalty { get; init; }

    /// <summary>Descents in a step, the first on the points of the others' step.</summary>
    public int Descents { get; init; } = 1;

    /// <summary>What the last projected step did; null where there is none.</summary>
    public NullSpaceReport? LastStep { get; protected set; }

    protected InertiaSizes Sizes { get; }

    protected InertiaData Data { get; }

    protected Parameter[] Parameters { get; }

    protected Adam Adam { get; }

    /// <summary>One step; returns the loss before its last descent and the seconds it took.</summary>
    public (double Loss, double Seconds) Step(int step)
    {
        var watch = Stopwatch.StartNew();
        double loss = 0;
        for (int i = 0; i < Descents; i++) {
            loss = Descend(step, i == 0 ? step : Sizes.Steps + ((long)step * Descents) + i);
        }
        double seconds = watch.Elapsed.TotalSeconds;
        return double.IsFinite(loss) ? (loss, seconds) : throw new ExperimentException($"The loss of '{Name}' is {loss} in step {step}; its learning rate is too high.");
    }

    /// <summary>Puts the weights and the optimizer's state into a checkpoint.</summary>
    public void Save(Dictionary<string, Tensor> tensors)
    {
        foreach ((string name, Tensor tensor) in Network.state_dict()) {
            tensors[$"{Name}/{name}"] = tensor;
        }
        tensors[$"{Name}/optimizer"] = OptimizerBytes.Of(SaveOptimizer);
    }

    /// <summary>Takes them from the checkpoint of a run with the same sizes.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        using IDisposable frozen = no_grad();
        foreach ((string name, Tensor tensor) in Network.state_dict()) {
            tensor.copy_(tensors[$"{Name}/{name}"]);
        }
        OptimizerBytes.Read(tensors[$"{Name}/optimizer"], LoadOptimizer);
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        Adam.Dispose();
        Network.Dispose();
    }

    /// <summary>What happens to the weights once they have a gradient, given the points of the descent.</summary>
    protected virtual void Update(Tensor x, long number) => Adam.step();

    protected virtual void SaveOptimizer(BinaryWriter writer) => Adam.save_state_dict(writer);

    protected virtual void LoadOptimizer(BinaryReader reader) => Adam.load_state_dict(reader);

    private double Descend(int step, long number)
    {
        using var scope = NewDisposeScope();
        foreach (optim.ILearningRateController group in Adam.ParamGroups) {
            group.LearningRate = _peak * 0.5 * (1 + Math.Cos(Math.PI * step / Sizes.Steps));
        }
        foreach (Parameter parameter in Parameters) {
            parameter.grad?.fill_(s_zero);
        }
        (Tensor x, Tensor inertia) = Data.Batch(number, Sizes.BatchSize);
        Tensor loss = Loss(x, inertia, number);
        loss.backward();
        Update(x, number);
        return loss.item<float>();
    }

    private Tensor Loss(Tensor x, Tensor inertia, long number)
    {
        if (IsAugmented) {
            Tensor g = Data.Elements("augmentation", number, x.size(0));
            (x, inertia) = (OrthogonalGroup.OnPoints(g, x), OrthogonalGroup.OnTensors(g, inertia));
        }
        Tensor value = Network.forward(x);
        Tensor loss = value.sub(inertia).square().mean();
        if (Penalty == 0) {
            return loss;
        }
        using Scalar lambda = ((float)Penalty).ToScalar();
        Tensor element = Data.Elements("penalty", number, x.size(0));
        Tensor c = Network.forward(OrthogonalGroup.OnPoints(element, x)).sub(OrthogonalGroup.OnTensors(element, value));
        return loss.add(c.square().mean(), lambda);
    }
}
