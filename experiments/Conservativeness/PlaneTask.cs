using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>One of <see cref="Densities"/>, and a perceptron for its score.</summary>
internal sealed class PlaneTask(string density, ConservativenessSizes sizes, long seed, Device device) : ScoreTask(density, sizes, seed, device)
{
    private readonly int _hidden = sizes.Hidden;

    /// <inheritdoc/>
    public override int Dimension => 2;

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor, Tensor> NewNetwork() => new ScoreNetwork(2, _hidden, Seed);

    /// <inheritdoc/>
    protected override float[] Clean(string use, int count, Random random) => Densities.Sample(Density, count, random);
}
