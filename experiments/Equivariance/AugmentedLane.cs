using LsmrTorch.Experiments.Images;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>Augmentation: every image is turned and flipped at random before the network sees it. With one or several descents in a step of the others.</summary>
internal sealed class AugmentedLane(string name, IReadOnlyList<int> widths, EquivarianceSizes sizes, int descents, long seed, Device device)
    : EquivarianceLane(name, widths, sizes, seed, device)
{
    /// <inheritdoc/>
    public override int Descents => descents;

    /// <inheritdoc/>
    protected override Tensor Loss(Batch batch, int step) => AugmentedLoss(batch, step);
}
