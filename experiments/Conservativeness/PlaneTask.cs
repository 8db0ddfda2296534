using LsmrTorch.Datasets;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>A density in the plane, and a perceptron for its score.</summary>
internal sealed class PlaneTask(string density, ConservativenessSizes sizes, long seed, Device device) : ScoreTask(density, sizes, seed, device)
{
    private static readonly Dictionary<string, PlaneDensity> s_densities = new() {
        ["eight-gaussians"] = PlaneDensity.EightGaussians,
        ["spirals"] = PlaneDensity.TwoSpirals,
        ["checkerboard"] = PlaneDensity.Checkerboard,
    };

    private readonly int _hidden = sizes.Hidden;
    private readonly PlaneDensity _density = s_densities.TryGetValue(density, out PlaneDensity known)
        ? known
        : throw new ArgumentException($"There is no density '{density}', only {string.Join(", ", Names)}.", nameof(density));

    /// <summary>The densities that there are.</summary>
    public static IReadOnlyList<string> Names => [.. s_densities.Keys];

    /// <inheritdoc/>
    public override int Dimension => 2;

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor, Tensor> NewNetwork() => new ScoreNetwork(2, _hidden, Seed);

    /// <inheritdoc/>
    protected override float[] Clean(string use, int count, Random random)
    {
        using Tensor points = PlaneDensities.Sample(_density, count, random.NextInt64());
        return points.data<float>().ToArray();
    }
}
