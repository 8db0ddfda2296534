using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>
/// A density and a seed: the noisy points of every step, the loss of denoising score matching, and the points at which the
/// score is to be a gradient. The same numbers come whenever they are asked for. A point is a row of d numbers.
/// </summary>
internal abstract class ScoreTask(string density, ConservativenessSizes sizes, long seed, Device device)
{
    private static readonly Scalar s_one = 1.0f.ToScalar();

    /// <summary>The density's name.</summary>
    public string Density { get; } = density;

    /// <summary>The seed of weights, batches and probes.</summary>
    public long Seed { get; } = seed;

    public Device Device { get; } = device;

    /// <summary>d.</summary>
    public abstract int Dimension { get; }

    /// <summary>A network from (x, σ), B×d and B×1, to σ s(x, σ), its weights drawn from the seed.</summary>
    public abstract nn.Module<Tensor, Tensor, Tensor> NewNetwork();

    /// <summary>Points of the density with noise of log-uniform levels; <paramref name="use"/> and the number choose them.</summary>
    public NoisyPoints Batch(string use, long number, int count)
    {
        Random random = Seeds.Managed(Seed, use, number);
        var sigmas = new float[count];
        for (int i = 0; i < count; i++) {
            sigmas[i] = (float)(sizes.LowNoise * Math.Pow(sizes.HighNoise / sizes.LowNoise, random.NextDouble()));
        }
        return Noisy(use, random, sigmas);
    }

    /// <summary>As many points at each of some levels, level after level.</summary>
    public NoisyPoints AtLevels(string use, IReadOnlyList<double> levels, int count) =>
        Noisy(use, Seeds.Managed(Seed, use), [.. levels.SelectMany(level => Enumerable.Repeat((float)level, count))]);

    /// <summary>Points of the density itself, n×d.</summary>
    public Tensor Points(string use, int count)
    {
        using Tensor flat = tensor(Clean(use, count, Seeds.Managed(Seed, use)), device: Device);
        return flat.view(count, Dimension);
    }

    /// <summary>
    /// Denoising score matching (Vincent 2011): the mean of ‖σ s(x + σz, σ) + z‖², which weighs the levels by σ².
    /// </summary>
    public static Tensor Loss(nn.Module<Tensor, Tensor, Tensor> network, NoisyPoints batch)
    {
        using var scope = NewDisposeScope();
        Tensor error = network.forward(batch.Points, batch.Sigma).add(batch.Noise, s_one);
        using Scalar dimension = (float)batch.Points.size(1);
        return error.mul(error).mean().mul(dimension).MoveToOuterDisposeScope();
    }

    /// <summary>Signs at random, of the shape of the points.</summary>
    public Tensor Probes(string use, long number, Tensor points)
    {
        Random random = Seeds.Managed(Seed, use, number);
        var signs = new float[points.numel()];
        for (int i = 0; i < signs.Length; i++) {
            signs[i] = random.Next(2) == 0 ? -1 : 1;
        }
        using Tensor flat = tensor(signs, device: Device);
        return flat.view(points.shape);
    }

    /// <summary>Points of the density, one after the other, in an array of their own; <paramref name="use"/> says what for.</summary>
    protected abstract float[] Clean(string use, int count, Random random);

    private NoisyPoints Noisy(string use, Random random, float[] sigmas)
    {
        int count = sigmas.Length;
        float[] points = Clean(use, count, random);
        var noise = new float[points.Length];
        for (int i = 0; i < noise.Length; i++) {
            noise[i] = (float)Seeds.Normal(random);
            points[i] += sigmas[i / Dimension] * noise[i];
        }
        using var scope = NewDisposeScope();
        Tensor Of(float[] values, long columns) => tensor(values, device: Device).view(count, columns).MoveToOuterDisposeScope();
        return new NoisyPoints(Of(points, Dimension), Of(noise, Dimension), Of(sigmas, 1));
    }
}

/// <summary>x + σz (B×d), z (B×d) and σ (B×1).</summary>
internal readonly record struct NoisyPoints(Tensor Points, Tensor Noise, Tensor Sigma);
