using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>Weights of a problem with an optimizer, its steps projected in one order, or in none.</summary>
internal sealed class OrderLane : IDisposable
{
    private static readonly string[] s_optimizers = ["sgd", "adam", "adam_eps"];
    private readonly OrderSizes _sizes;
    private readonly ProblemSizes _problemSizes;
    private readonly OrderProblem _problem;
    private readonly optim.Optimizer _inner;
    private readonly NullSpaceOptimizer _optimizer;
    private readonly ProjectionOrder? _order;
    private readonly double _learningRate;

    private OrderLane(OrderSizes sizes, ProblemSizes problemSizes, string optimizer, ProjectionOrder? order, long seed, Device device)
    {
        (_sizes, _problemSizes, _order) = (sizes, problemSizes, order);
        _problem = OrderProblem.Of(problemSizes, seed, device);
        _learningRate = optimizer switch { "sgd" => problemSizes.SgdRate, "adam" => problemSizes.AdamRate, _ => problemSizes.LargeEpsilonRate };
        Parameter[] parameters = _problem.Parameters;
        _inner = optimizer == "sgd" ? optim.SGD(parameters, _learningRate)
            : optim.Adam(parameters, _learningRate, eps: Epsilon(sizes, optimizer));
        _optimizer = new NullSpaceOptimizer(_inner, parameters, _problem.Constraint, problemSizes.Rate, problemSizes.Damp) {
            Order = order ?? ProjectionOrder.Step,
            WarmUp = problemSizes.WarmUpSteps,
            Tolerance = problemSizes.Tolerance,
            MaxIterations = problemSizes.MaxIterations,
            MetricEpsilon = Epsilon(sizes, optimizer),
        };
        (Optimizer, Order) = (optimizer, order?.ToString().ToLowerInvariant() ?? "none");
    }

    /// <summary>sgd, adam or adam_eps.</summary>
    public string Optimizer { get; }

    /// <summary>step, gradient, metric or none.</summary>
    public string Order { get; }

    /// <summary>What the problem's third measure is.</summary>
    public string? OtherName => _problem.OtherName;

    /// <summary>Set once a number is none any more; the weights then stay as they are.</summary>
    public bool HasDiverged { get; set; }

    /// <summary>What the last step did; null before the first.</summary>
    public NullSpaceReport? LastStep { get; private set; }

    /// <summary>All of a problem: each optimizer without constraint and in the three orders.</summary>
    public static OrderLane[] All(OrderSizes sizes, ProblemSizes problem, long seed, Device device) =>
        [.. from optimizer in s_optimizers
            from order in new ProjectionOrder?[] { null, ProjectionOrder.Step, ProjectionOrder.Gradient, ProjectionOrder.Metric }
            select new OrderLane(sizes, problem, optimizer, order, seed, device)];

    /// <summary>One step, unless it has diverged.</summary>
    public void Step(int step)
    {
        if (HasDiverged) {
            return;
        }
        using var scope = NewDisposeScope();
        foreach (optim.ILearningRateController group in _inner.ParamGroups) {
            group.LearningRate = LearningRate(step);
        }
        foreach (Parameter parameter in _problem.Parameters) {
            if (parameter.grad is { } gradient) {
                using Scalar zero = 0.0.ToScalar();
                gradient.fill_(zero);
            }
        }
        Tensor loss = _problem.Loss(step);
        HasDiverged = !double.IsFinite(loss.to(ScalarType.Float64).item<double>());
        if (HasDiverged) {
            return;
        }
        loss.backward();
        _problem.At(step);
        if (_order is null) {
            _inner.step();
        } else {
            LastStep = _optimizer.step();
        }
    }

    /// <summary>The problem's numbers.</summary>
    public OrderMeasure Measure() => _problem.Measure();

    /// <summary>Puts the weights and the optimizer's state into a checkpoint.</summary>
    public void Save(Dictionary<string, Tensor> tensors)
    {
        foreach ((Parameter parameter, int i) in _problem.Parameters.Select((parameter, i) => (parameter, i))) {
            tensors[$"{Optimizer}/{Order}/{i}"] = parameter;
        }
        tensors[$"{Optimizer}/{Order}/optimizer"] = OptimizerBytes.Of(_optimizer.save_state_dict);
        _problem.Save(tensors, $"{Optimizer}/{Order}");
    }

    /// <summary>Takes them from the checkpoint of a run with the same sizes.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        using IDisposable frozen = no_grad();
        foreach ((Parameter parameter, int i) in _problem.Parameters.Select((parameter, i) => (parameter, i))) {
            parameter.copy_(tensors[$"{Optimizer}/{Order}/{i}"]);
        }
        OptimizerBytes.Read(tensors[$"{Optimizer}/{Order}/optimizer"], _optimizer.load_state_dict);
        _problem.Load(tensors, $"{Optimizer}/{Order}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _inner.Dispose();
        _problem.Dispose();
    }

    // Adam's ε. Plain gradient descent has none, and the metric of its squared gradients is not its own.
    private static double Epsilon(OrderSizes sizes, string optimizer) => optimizer == "adam_eps" ? sizes.LargeEpsilon : 1e-8;

    private double LearningRate(int step)
    {
        double fall = 0.5 * (1 + Math.Cos(Math.PI * step / _problemSizes.Steps));
        return _learningRate * (_sizes.FinalShare + ((1 - _sizes.FinalShare) * fall));
    }
}
