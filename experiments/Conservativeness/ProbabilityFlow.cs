using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>Draws points from a score: dx/dσ = −σ s(x, σ) from normal points at the highest level down (Song et al. 2021).</summary>
internal static class ProbabilityFlow
{
    /// <summary>n×d points, from the same normal ones whatever the network; Heun's rule, levels in equal ratios.</summary>
    public static Tensor Sample(nn.Module<Tensor, Tensor, Tensor> network, ScoreTask task, ConservativenessSizes sizes, int count)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Random random = Seeds.Managed(task.Seed, "flow");
        int steps = sizes.FlowSteps;
        var start = new float[task.Dimension * count];
        for (int i = 0; i < start.Length; i++) {
            start[i] = (float)(sizes.HighNoise * Seeds.Normal(random));
        }
        Tensor x = tensor(start, device: task.Device).view(count, task.Dimension);
        for (int i = 0; i < steps; i++) {
            double high = Level(i), low = Level(i + 1);
            using Scalar whole = (float)(high - low), half = (float)((high - low) / 2);
            Tensor first = Slope(x, high);
            Tensor ahead = x.add(first, whole);
            x = x.add(first, half).add(Slope(ahead, low), half);
        }
        return x.MoveToOuterDisposeScope();

        double Level(int i) => sizes.HighNoise * Math.Pow(sizes.LowNoise / sizes.HighNoise, i / (double)steps);

        Tensor Slope(Tensor at, double sigma)
        {
            using Tensor level = full([count, 1], (float)sigma, ScalarType.Float32, task.Device);
            return network.forward(at, level);
        }
    }
}
