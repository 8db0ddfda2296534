using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// Ours: every step of SGD is projected so that the chosen weights shrink by 1 − κ and are moved by nothing else, by
/// J⁺ (here JJᵀ = I, so that it is known in closed form). Nothing is cut while weights are being chosen:
/// one that was chosen too early, and is no longer among the smallest, is let go at the next choice.
/// </summary>
internal sealed class NullSpaceLane : Lane
{
    private readonly Schedules _schedule;
    private NullSpaceOptimizer? _optimizer;
    private NullSpaceReport? _report;
    private Tensor[] _masks = []; // those of the constraint

    public NullSpaceLane(string name, SparsitySizes sizes, long seed, Device device, Schedules schedule)
        : base(name, sizes, seed, device) => _schedule = schedule;

    /// <summary>What the constraint was before the step that was taken last, and what the step did about it.</summary>
    public ConstraintRecord LastStep(int step)
    {
        NullSpaceReport report = _report ?? throw new InvalidOperationException("No step has been taken.");
        return new ConstraintRecord(step, report.ConstraintNorm, report.PredictedConstraintNorm,
            _schedule.Share(step), _schedule.Rate(step), report.Iterations, report.Stop.ToString());
    }

    /// <inheritdoc/>
    protected override void BeforeGradient(int step)
    {
        if (_schedule.ChoosesAt(step)) {
            double share = _schedule.Share(step);
            Mask = Sizes.PerLayer ? Weights.ChooseSmallestPerLayer(share) : Weights.ChooseSmallest(share);
            MaskChanged();
        }
    }

    /// <inheritdoc/>
    protected override void Update(int step)
    {
        _optimizer!.Rate = _schedule.Rate(step);
        _report = _optimizer.step();
    }

    /// <inheritdoc/>
    protected override void MaskChanged()
    {
        IReadOnlyList<(Parameter Parameter, Tensor Mask)> masks = Weights.Split(Mask!);
        Constraint constraint = Constraint.Sparsity(masks);
        if (_optimizer is null) {
            _optimizer = new NullSpaceOptimizer(Inner, Weights.Parameters, constraint);
        } else {
            _optimizer.Constraint = constraint;
        }
        FreeMasks();
        _masks = [.. masks.Select(pair => pair.Mask.DetachFromDisposeScope())];
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        FreeMasks();
        base.Dispose();
    }

    private void FreeMasks()
    {
        foreach (Tensor mask in _masks) {
            mask.Dispose();
        }
        _masks = [];
    }
}
