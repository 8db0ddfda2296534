using LsmrTorch.Experiments.Conservativeness;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>The score of eight Gaussians under S = Sᵀ, as in the experiment conservativeness, but shorter.</summary>
internal sealed class ConservativeProblem : OrderProblem
{
    public const string Title = "conservative";

    private readonly ConservativenessSizes _sizes;
    private readonly ScoreTask _task;
    private readonly ScoreNetwork _network;
    private readonly Rotation _rotation;
    private readonly FieldTest _test;

    public ConservativeProblem(ProblemSizes sizes, long seed, Device device)
    {
        _sizes = new ConservativenessSizes { Steps = sizes.Steps, WarmUpSteps = sizes.WarmUpSteps, PenaltyWarmUpSteps = 0, Batch = 128, TestPoints = 100 };
        _task = new PlaneTask("eight-gaussians", _sizes, seed, device);
        _network = new ScoreNetwork(2, sizes.Hidden, seed);
        _network.to(device);
        _rotation = new Rotation(_task, _network, sizes.Points);
        _test = new FieldTest(_sizes, _task);
        Parameters = [.. _network.parameters()];
        Constraint = _rotation.Constraint;
    }

    /// <inheritdoc/>
    public override Parameter[] Parameters { get; }

    /// <inheritdoc/>
    public override Constraint Constraint { get; }

    /// <inheritdoc/>
    public override void At(int step) => _rotation.At(step);

    /// <inheritdoc/>
    public override Tensor Loss(int step) => ScoreTask.Loss(_network, _task.Batch("batch", step, _sizes.Batch));

    /// <summary>The loss of denoising score matching and the asymmetry at test points, means over the noise levels.</summary>
    public override OrderMeasure Measure() => new(_test.Losses(_network).Average(), _test.Asymmetries(_network).Average());

    /// <inheritdoc/>
    public override void Dispose()
    {
        _network.Dispose();
        _test.Dispose();
    }
}
