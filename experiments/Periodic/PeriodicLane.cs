using System.Diagnostics;
using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>
/// A network with its Adam on its way through the run. All lanes start from the same network, see the same points and
/// learning rates, and take a step before any takes the next, so that their times are measured side by side. This one
/// knows of no constraint.
/// </summary>
internal class PeriodicLane : IDisposable
{
    private static readonly Scalar s_zero = 0.0.ToScalar();

    public PeriodicLane(string name, PeriodicSizes sizes, PeriodicTask task, long seed, Device device)
    {
        (Name, Sizes, Task) = (name, sizes, task);
        Model = new Mlp(sizes.Hidden, -PeriodicTask.End, PeriodicTask.End, seed, PeriodicTask.Type);
        Model.to(device);
        Parameters = [.. Model.parameters()];
        Adam = optim.Adam(Parameters, sizes.LearningRate, sizes.Momentum, eps: sizes.Epsilon);
    }

    /// <summary>The word for it in metrics, figures and plots.</summary>
    public string Name { get; }

    public Mlp Model { get; }

    protected PeriodicSizes Sizes { get; }

    protected PeriodicTask Task { get; }

    protected Parameter[] Parameters { get; }

    protected Adam Adam { get; }

    /// <summary>One step; returns the loss before it (the penalty counted) and the seconds it took.</summary>
    public (double Loss, double Seconds) Step(int step)
    {
        var watch = Stopwatch.StartNew();
        using var scope = NewDisposeScope();
        foreach (optim.ILearningRateController group in Adam.ParamGroups) {
            group.LearningRate = LearningRate(step);
        }
        foreach (Parameter parameter in Parameters) {
            parameter.grad?.fill_(s_zero);
        }
        Tensor loss = Loss(step);
        loss.backward();
        Update(step);
        double value = loss.item<double>();
        double seconds = watch.Elapsed.TotalSeconds;
        return double.IsFinite(value)
            ? (value, seconds)
            : throw new ExperimentException($"The loss of '{Name}' is {value} in step {step}; its learning rate is too high.");
    }

    /// <summary>Puts the weights and Adam's moments into a checkpoint.</summary>
    public void Save(Dictionary<string, Tensor> tensors)
    {
        foreach ((string name, Tensor tensor) in Tensors()) {
            tensors[$"{Name}/{name}"] = tensor;
        }
    }

    /// <summary>Takes them from the checkpoint of a run with the same sizes, after <paramref name="step"/> steps.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors, int step)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        foreach ((string name, Tensor tensor) in Tensors()) {
            tensor.copy_(tensors[$"{Name}/{name}"]);
        }
        foreach (Adam.State state in States()) {
            state.step = step;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Adam.Dispose();
        Model.Dispose();
    }

    /// <summary>What is minimised in a step.</summary>
    protected virtual Tensor Loss(int step) =>
        nn.functional.mse_loss(Model.forward(Task.TrainingInputs), Task.TrainingValues);

    /// <summary>What happens to the weights once they have a gradient.</summary>
    protected virtual void Update(int step) => Adam.step();

    private double LearningRate(int step)
    {
        double fall = 0.5 * (1 + Math.Cos(Math.PI * step / Sizes.Steps));
        return Sizes.LearningRate * (Sizes.FinalShare + ((1 - Sizes.FinalShare) * fall));
    }

    private IEnumerable<Adam.State> States() => Adam.state_dict().State.Cast<Adam.State>();

    // In the order of the parameters.
    private IEnumerable<(string Name, Tensor Tensor)> Tensors() =>
        Parameters.Zip(States()).SelectMany<(Parameter Weight, Adam.State Adam), (string, Tensor)>((pair, i) => [
            ($"{i}/weight", pair.Weight), ($"{i}/mean", pair.Adam.exp_avg), ($"{i}/square", pair.Adam.exp_avg_sq),
        ]);
}
