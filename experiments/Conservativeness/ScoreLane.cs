using System.Diagnostics;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>
/// A network with its Adam on its way through the run. All lanes begin where plain is at the time, see the same points and
/// learning rates, and take a step before any takes the next, so that their times are measured side by side. This one
/// knows of no constraint.
/// </summary>
internal class ScoreLane : IDisposable
{
    private static readonly Scalar s_zero = 0.0f.ToScalar();
    private readonly WeightAverage? _average;

    public ScoreLane(string name, ConservativenessSizes sizes, ScoreTask task)
    {
        (Name, Sizes, Task) = (name, sizes, task);
        Network = task.NewNetwork();
        Network.to(task.Device);
        Parameters = [.. Network.parameters()];
        Adam = optim.Adam(Parameters, sizes.LearningRate, eps: sizes.Epsilon);
        _average = sizes.AveragedSteps > 0 ? new WeightAverage(name, Parameters) : null;
    }

    /// <summary>The word for it in metrics, figures and plots.</summary>
    public string Name { get; }

    public nn.Module<Tensor, Tensor, Tensor> Network { get; }

    /// <summary>The step that is its first of its own; before that it is plain.</summary>
    public virtual int FirstStep => 0;

    protected ConservativenessSizes Sizes { get; }

    protected ScoreTask Task { get; }

    protected Parameter[] Parameters { get; }

    protected Adam Adam { get; }

    /// <summary>One step; returns the loss before it (the penalty counted) and the seconds it took. The last leaves the mean of the weights, where it is asked for.</summary>
    public (double Loss, double Seconds) Step(int step)
    {
        var watch = Stopwatch.StartNew();
        double loss = Take(step);
        if (_average is not null && step >= Sizes.Steps - Sizes.AveragedSteps) {
            _average.Add();
            if (step + 1 == Sizes.Steps) {
                _average.Apply();
            }
        }
        return (loss, watch.Elapsed.TotalSeconds);
    }

    /// <summary>Puts the weights and the optimizer's state into a checkpoint.</summary>
    public void Save(Dictionary<string, Tensor> tensors)
    {
        foreach ((string name, Tensor tensor) in Network.state_dict()) {
            tensors[$"{Name}/{name}"] = tensor;
        }
        tensors[$"{Name}/optimizer"] = OptimizerBytes.Of(SaveOptimizer);
        _average?.Save(tensors);
    }

    /// <summary>Takes them from the checkpoint of a run with the same sizes.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        LoadWeights(tensors, Name);
        OptimizerBytes.Read(tensors[$"{Name}/optimizer"], LoadOptimizer);
        _average?.Load(tensors);
    }

    /// <summary>Goes on from where the other is.</summary>
    public void Join(ScoreLane plain)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        plain.Save(tensors);
        LoadWeights(tensors, plain.Name);
        OptimizerBytes.Read(tensors[$"{plain.Name}/optimizer"], Adam.load_state_dict);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _average?.Dispose();
        Adam.Dispose();
        Network.Dispose();
    }

    /// <summary>The descents of a step; returns the loss before the last.</summary>
    protected virtual double Take(int step) => Descend(step, step);

    /// <summary>One descent at the learning rate of a step, on the points of that number.</summary>
    protected double Descend(int step, long points)
    {
        using var scope = NewDisposeScope();
        foreach (optim.ILearningRateController group in Adam.ParamGroups) {
            group.LearningRate = Sizes.LearningRate * Share(step);
        }
        foreach (Parameter parameter in Parameters) {
            parameter.grad?.fill_(s_zero);
        }
        Tensor loss = Loss(step, points);
        loss.backward();
        Update(step);
        double value = loss.item<float>();
        return double.IsFinite(value)
            ? value
            : throw new ExperimentException($"The loss of '{Name}' is {value} in step {step}; its learning rate is too high.");
    }

    /// <summary>What a step has of the learning rate at the start: it falls by a half cosine.</summary>
    protected double Share(int step)
    {
        double fall = 0.5 * (1 + Math.Cos(Math.PI * step / Sizes.Steps));
        return Sizes.FinalShare + ((1 - Sizes.FinalShare) * fall);
    }

    /// <summary>What is minimised in a step.</summary>
    protected virtual Tensor Loss(int step, long points) => ScoreTask.Loss(Network, Task.Batch("batch", points, Sizes.Batch));

    /// <summary>What happens to the weights once they have a gradient.</summary>
    protected virtual void Update(int step) => Adam.step();

    protected virtual void SaveOptimizer(BinaryWriter writer) => Adam.save_state_dict(writer);

    protected virtual void LoadOptimizer(BinaryReader reader) => Adam.load_state_dict(reader);

    private void LoadWeights(IReadOnlyDictionary<string, Tensor> tensors, string from)
    {
        using IDisposable frozen = no_grad();
        foreach ((string name, Tensor tensor) in Network.state_dict()) {
            tensor.copy_(tensors[$"{from}/{name}"]);
        }
    }
}
