using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// Ours: every step of SGD is projected so that the chosen weights shrink by 1 − κ and are moved by nothing else, by one
/// least-squares solve with J (here JJᵀ = I, so one iteration does it). Nothing is cut while weights are being chosen:
/// one that was chosen too early, and is outgrown by others, is let go at the next choice.
/// </summary>
internal sealed class NullSpaceLane : Lane
{
    private readonly Schedules _schedule;
    private readonly List<TorchSharp.Modules.Parameter> _parameters;
    private ConstraintRecord _last = new(0, 0, 0, 0, 0, 0, "");

    public NullSpaceLane(string name, SparsitySizes sizes, long seed, Device device, Schedules schedule)
        : base(name, sizes, seed, device)
    {
        _schedule = schedule;
        _parameters = [.. Model.parameters()];
    }

    /// <summary>What the constraint was before the last step, and what was done about it.</summary>
    public ConstraintRecord LastStep(int step) => _last with { Step = step };

    /// <inheritdoc/>
    protected override void BeforeGradient(int step)
    {
        if (_schedule.ChoosesAt(step)) {
            Mask = Weights.ChooseSmallest(_schedule.Share(step));
            MaskChanged();
        }
    }

    /// <inheritdoc/>
    protected override void Update(int step)
    {
        using var scope = NewDisposeScope();
        double rate = _schedule.Rate(step);
        double norm = Weights.RootMeanSquare(Mask!);
        using var frozen = no_grad();
        var pieces = Weights.Split(Mask!);
        var before = pieces.Select(p => p.Parameter.detach().clone()).ToList();
        base.Update(step);
        for (int i = 0; i < pieces.Count; i++) {
            using Scalar keep = ((float)(1 - rate)).ToScalar();
            pieces[i].Parameter.copy_(where(pieces[i].Mask, before[i].mul(keep), pieces[i].Parameter));
        }
        _last = new ConstraintRecord(step, norm, (1 - rate) * norm, _schedule.Share(step), rate, 1, "x");
    }
}
