using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>
/// A perceptron learns another's answers while nine tenths of each weight matrix but the last, the smallest at the end of the warm-up, vanish. Which
/// ones is chosen once, and is the same for all orders of an optimizer.
/// </summary>
internal sealed class SparseProblem : OrderProblem
{
    public const string Title = "sparse";

    private const int Inputs = 8;
    private const int TeacherUnits = 10;
    private const int TestPoints = 1000;
    private const double Share = 0.9;
    private static readonly Scalar s_zero = 0.0.ToScalar();
    private readonly ProblemSizes _sizes;
    private readonly long _seed;
    private readonly Device _device;
    private readonly Perceptron _network;
    private readonly Tensor _directions;
    private readonly Tensor _heights;
    private readonly Tensor _testInputs;
    private readonly Tensor _testValues;
    private readonly (Parameter Parameter, Tensor Mask)[] _masks; // nothing is marked before the warm-up has ended

    public SparseProblem(ProblemSizes sizes, long seed, Device device)
    {
        (_sizes, _seed, _device) = (sizes, seed, device);
        using var scope = NewDisposeScope();
        using Scalar slope = Math.Sqrt(0.5).ToScalar(), height = Math.Sqrt(1.0 / TeacherUnits).ToScalar();
        _directions = Normal(Seeds.Managed(seed, "directions"), Inputs, TeacherUnits).mul(slope).DetachFromDisposeScope();
        _heights = Normal(Seeds.Managed(seed, "heights"), TeacherUnits, 1).mul(height).DetachFromDisposeScope();
        _testInputs = Normal(Seeds.Managed(seed, "test"), TestPoints, Inputs).DetachFromDisposeScope();
        _testValues = Teacher(_testInputs).DetachFromDisposeScope();
        _network = new Perceptron([Inputs, sizes.Hidden, sizes.Hidden, 1], Activation.Tanh, seed, ScalarType.Float64);
        _network.to(device);
        Parameters = [.. _network.parameters()];
        _masks = [.. Parameters.Where(parameter => parameter.dim() == 2).SkipLast(1)
            .Select(weight => (weight, zeros(weight.shape, ScalarType.Bool, device).DetachFromDisposeScope()))];
        Constraint = Constraint.Sparsity(_masks);
    }

    /// <inheritdoc/>
    public override string OtherName => "zeroed_loss";

    /// <inheritdoc/>
    public override Parameter[] Parameters { get; }

    /// <inheritdoc/>
    public override Constraint Constraint { get; }

    private bool IsChosen => _masks.Any(pair => pair.Mask.any().item<bool>());

    /// <inheritdoc/>
    public override void At(int step)
    {
        if (step != _sizes.WarmUpSteps) {
            return;
        }
        foreach ((Tensor kept, Tensor mask) in _masks.Select(pair => pair.Mask).Zip(Smallest().Select(pair => pair.Mask))) {
            kept.copy_(mask);
        }
    }

    /// <inheritdoc/>
    public override Tensor Loss(int step)
    {
        Tensor x = Normal(Seeds.Managed(_seed, "batch", step), _sizes.Points, Inputs);
        return nn.functional.mse_loss(_network.forward(x), Teacher(x));
    }

    /// <summary>
    /// The loss at points that no step saw, the root mean square of the marked weights (before the warm-up has ended, of the smallest at present), and the
    /// loss once these are zero.
    /// </summary>
    public override OrderMeasure Measure()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        (Parameter Parameter, Tensor Mask)[] masks = IsChosen ? _masks : Smallest();
        Tensor c = Constraint.Sparsity(masks).Evaluate(Parameters);
        (double size, double loss) = (c.mul(c).mean().sqrt().item<double>(), TestLoss());
        Tensor[] before = [.. masks.Select(pair => pair.Parameter.detach().clone())];
        foreach ((Parameter parameter, Tensor mask) in masks) {
            parameter.masked_fill_(mask, s_zero);
        }
        double zeroed = TestLoss();
        foreach ((Parameter parameter, Tensor values) in masks.Select(pair => pair.Parameter).Zip(before)) {
            parameter.copy_(values);
        }
        return new OrderMeasure(loss, size, zeroed);
    }

    /// <inheritdoc/>
    public override void Save(Dictionary<string, Tensor> tensors, string prefix)
    {
        foreach ((Tensor mask, int i) in _masks.Select((pair, i) => (pair.Mask, i))) {
            tensors[$"{prefix}/mask/{i}"] = mask;
        }
    }

    /// <inheritdoc/>
    public override void Load(IReadOnlyDictionary<string, Tensor> tensors, string prefix)
    {
        foreach ((Tensor mask, int i) in _masks.Select((pair, i) => (pair.Mask, i))) {
            mask.copy_(tensors[$"{prefix}/mask/{i}"]);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _network.Dispose();
        foreach (Tensor tensor in _masks.Select(pair => pair.Mask).Append(_directions).Append(_heights).Append(_testInputs).Append(_testValues)) {
            tensor.Dispose();
        }
    }

    private (Parameter Parameter, Tensor Mask)[] Smallest() => [.. _masks.SelectMany(pair => SparsityMask.Smallest([pair.Parameter], Share))];

    private double TestLoss() => nn.functional.mse_loss(_network.forward(_testInputs), _testValues).item<double>();

    // Σ hⱼ tanh(dⱼᵀx), of about unit variance.
    private Tensor Teacher(Tensor x) => x.mm(_directions).tanh().mm(_heights);

    private Tensor Normal(Random random, int rows, int columns)
    {
        double[] values = [.. Enumerable.Range(0, rows * columns).Select(_ => Seeds.Normal(random))];
        using Tensor flat = tensor(values, device: _device);
        return flat.view(rows, columns);
    }
}
