using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// Magnitude pruning: the smallest weights are set to zero and held there, so that neither momentum nor weight decay
/// moves them. Gradually along the schedule (Zhu and Gupta 2017), or all of them before the first step.
/// </summary>
internal sealed class PrunedLane(string name, SparsitySizes sizes, long seed, Device device, Schedules? schedule)
    : Lane(name, sizes, seed, device)
{
    /// <inheritdoc/>
    protected override void BeforeGradient(int step)
    {
        if (schedule is null ? step == 0 : schedule.ChoosesAt(step)) {
            Mask = Weights.ChooseSmallest(schedule?.Share(step) ?? Sizes.Share);
            Weights.Zero(Mask);
        }
    }

    /// <inheritdoc/>
    protected override void Update(int step)
    {
        base.Update(step);
        Weights.Zero(Mask!);
    }
}
