using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Inertia;
using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>
/// Five point masses to their matrix of inertia from few examples, as in the experiment inertia, under f(gx) = g f(x) gᵀ at points without
/// answers and for orthogonal g, both drawn anew in every step.
/// </summary>
internal sealed class EquivariantProblem : OrderProblem
{
    public const string Title = "equivariant";

    private const int TrainingPoints = 200;
    private const int TestPoints = 500;
    private static readonly Scalar s_half = 0.5.ToScalar();
    private readonly ProblemSizes _sizes;
    private readonly long _seed;
    private readonly Device _device;
    private readonly Perceptron _network;
    private readonly InertiaData.Set _training;
    private readonly InertiaData.Set _test;
    private InertiaData.Set? _points;

    public EquivariantProblem(ProblemSizes sizes, long seed, Device device)
    {
        (_sizes, _seed, _device) = (sizes, seed, device);
        using var scope = NewDisposeScope();
        InertiaData.Set training = Draw("training", 0, TrainingPoints), test = Draw("test", 0, TestPoints);
        Tensor size = training.Inertia.square().mean().sqrt();
        _training = Kept(training with { Inertia = training.Inertia.div(size) });
        _test = Kept(test with { Inertia = test.Inertia.div(size) });
        _network = new Perceptron([4 * InertiaTask.Points, sizes.Hidden, sizes.Hidden, 9], Activation.Silu, seed, ScalarType.Float64);
        _network.to(device);
        Parameters = [.. _network.parameters()];
        Constraint = Constraint.Equivariance(
            Function, () => _points!.X, x => OrthogonalGroup.OnPoints(_points!.Elements, x), y => OrthogonalGroup.OnTensors(_points!.Elements, y), JacobianProducts.Differences);
    }

    /// <inheritdoc/>
    public override string OtherName => "training_loss";

    /// <inheritdoc/>
    public override Parameter[] Parameters { get; }

    /// <inheritdoc/>
    public override Constraint Constraint { get; }

    /// <inheritdoc/>
    public override void At(int step) => _points = Draw("points", step, _sizes.Points);

    /// <inheritdoc/>
    public override Tensor Loss(int step) => nn.functional.mse_loss(Function(_training.X), _training.Inertia);

    /// <summary>At test points ‖f − I‖²/‖I‖² and ‖f(gx) − g f(x) gᵀ‖/‖f(x)‖; and the training loss.</summary>
    public override OrderMeasure Measure()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        InertiaMeasure test = InertiaMeasure.Of(Function, _test);
        return new OrderMeasure(test.Error * test.Error, test.Equivariance, Loss(0).item<double>());
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _network.Dispose();
        _training.Dispose();
        _test.Dispose();
    }

    // N×20 to symmetric N×3×3.
    private Tensor Function(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor y = _network.forward(x).view(-1, 3, 3);
        return y.add(y.transpose(1, 2)).mul(s_half).MoveToOuterDisposeScope();
    }

    // Masses and positions, their matrices, and an element of O(3) for each; of the caller's scope.
    private InertiaData.Set Draw(string use, long number, int count)
    {
        using var scope = NewDisposeScope();
        using InertiaTask task = InertiaTask.Generate(count, Seeds.Derive(_seed, use, number));
        using Generator generator = Seeds.Torch(_seed, use + " elements", number);
        Tensor x = cat([task.Masses, task.Positions.reshape(-1, 3 * InertiaTask.Points)], 1);
        return new InertiaData.Set(Doubles(x), Doubles(task.Inertia), Doubles(OrthogonalGroup.Draw(count, generator)));

        Tensor Doubles(Tensor tensor) => tensor.to(ScalarType.Float64).to(_device).MoveToOuterDisposeScope();
    }

    private static InertiaData.Set Kept(InertiaData.Set set) =>
        new(set.X.DetachFromDisposeScope(), set.Inertia.DetachFromDisposeScope(), set.Elements.DetachFromDisposeScope());
}
