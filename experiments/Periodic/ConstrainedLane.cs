using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>Ours: from the end of the warm-up on, Adam's steps are held to f(x + 2π) = f(x) by the null-space method.</summary>
internal sealed class ConstrainedLane : PeriodicLane
{
    private readonly NullSpaceOptimizer _optimizer;
    private int _step;

    public ConstrainedLane(PeriodicSizes sizes, PeriodicTask task, long seed, Device device) : base("ours", sizes, task, seed, device)
    {
        _optimizer = new NullSpaceOptimizer(Adam, Parameters, () => PeriodicTask.Residual(Model, Task.Points(_step)), sizes.Rate, sizes.Damp) {
            Tolerance = sizes.Tolerance,
            MaxIterations = sizes.MaxIterations,
        };
    }

    /// <summary>What the last step did; null in the warm-up.</summary>
    public NullSpaceReport? LastStep { get; private set; }

    protected override void Update(int step)
    {
        _step = step;
        if (step < Sizes.WarmUpSteps) {
            base.Update(step);
            return;
        }
        LastStep = _optimizer.step();
    }
}
