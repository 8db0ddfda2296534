using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// An ℓ1 penalty while the others choose their weights, by proximal steps, w ← sign(w) max(|w| − ηλ, 0) after each step of SGD; then the smallest
/// weights are set to zero and held there, and the penalty ends.
/// </summary>
internal sealed class ShrunkLane(string name, double penalty, SparsitySizes sizes, long seed, Device device, Schedules schedule)
    : Lane(name, sizes, seed, device)
{
    private static readonly Scalar s_zero = 0.0f.ToScalar();

    /// <inheritdoc/>
    protected override void BeforeGradient(int step)
    {
        if (step == schedule.Chosen) {
            Mask = Weights.ChooseSmallest(Sizes.Share);
        }
    }

    /// <inheritdoc/>
    protected override void Update(int step)
    {
        base.Update(step);
        if (Mask is not null) {
            Weights.Zero(Mask);
            return;
        }
        using IDisposable frozen = no_grad();
        using Scalar shrinkage = (Inner.ParamGroups.First().LearningRate * penalty).ToScalar();
        foreach (Parameter weight in Weights.Parameters) {
            using var scope = NewDisposeScope();
            weight.copy_(weight.sign().mul_(weight.abs().sub_(shrinkage).clamp_min_(s_zero)));
        }
    }
}
