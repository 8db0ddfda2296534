using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// Ours, reading S: a smooth count in each layer of the weights that are not near zero is held to what the schedule leaves, whichever weights they are.
/// At the end the smallest of every layer are the mask. Experimental.
/// </summary>
internal sealed class CountLane : Lane
{
    private readonly Schedules _schedule;
    private NullSpaceOptimizer? _optimizer;
    private double[] _scales = [];

    public CountLane(string name, SparsitySizes sizes, long seed, Device device, Schedules schedule) : base(name, sizes, seed, device) => _schedule = schedule;

    /// <summary>Σ θ²/(θ² + ε²) over all weights by their number: the share that counts as left.</summary>
    public double Left()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        double left = 0;
        foreach ((Parameter weight, double scale) in Weights.Parameters.Zip(_scales)) {
            Tensor square = weight.to_type(ScalarType.Float64).square();
            left += square.div(square.add((scale * scale).ToScalar())).sum().item<double>();
        }
        return left / Weights.Count;
    }

    /// <summary>Marks the smallest weights of each layer, as many as make up the share.</summary>
    public void ChooseInEachLayer()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Mask = cat([.. Weights.Parameters.SelectMany(weight => SparsityMask.Smallest([weight], Sizes.Share)).Select(pair => pair.Mask.reshape(-1))]);
    }

    /// <inheritdoc/>
    protected override void BeforeGradient(int step)
    {
        if (!_schedule.ChoosesAt(step)) {
            return;
        }
        if (_scales.Length == 0) {      // what is small is judged by the network that all start from
            _scales = [.. Weights.Parameters.Select(RootMeanSquare).Select(size => 0.3 * size)];
        }
        Constraint constraint = Constraint.SmoothSparsity(Weights.Parameters, _schedule.Share(step), _scales);
        if (_optimizer is null) {
            _optimizer = new NullSpaceOptimizer(Inner, Weights.Parameters, constraint);
        } else {
            _optimizer.Constraint = constraint;
        }
    }

    /// <inheritdoc/>
    protected override void Update(int step)
    {
        _optimizer!.Rate = Math.Min(0.3, _schedule.Rate(step));     // the count is no linear function: at κ = 1 a step may overshoot
        _optimizer.step();
    }

    private static double RootMeanSquare(Parameter weight)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        return weight.norm().item<float>() / Math.Sqrt(weight.numel());
    }
}
