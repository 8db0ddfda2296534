using LsmrTorch.Experiments.Images;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>Augmentation: every image is turned and flipped at random before the network sees it.</summary>
internal sealed class AugmentedLane(string name, IReadOnlyList<int> widths, EquivarianceSizes sizes, long seed, Device device)
    : EquivarianceLane(name, widths, sizes, seed, device)
{
    /// <inheritdoc/>
    protected override Tensor Loss(Batch batch, int step) => AugmentedLoss(batch, step);
}
