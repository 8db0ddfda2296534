using TorchSharp;

namespace LsmrTorch.Experiments.Running;

/// <summary>
/// Random numbers without a state to save: each use has a generator of its own, derived from the run's seed, the use's
/// name and a number (an epoch), so that a resumed run draws what an uninterrupted one does.
/// </summary>
internal static class Seeds
{
    /// <summary>A seed for one use: FNV-1a of the name, mixed with the others by SplitMix64 (Steele et al. 2014).</summary>
    public static long Derive(long seed, string use, long number = 0)
    {
        ulong hash = 14695981039346656037;
        foreach (char letter in use) {
            hash = (hash ^ letter) * 1099511628211;
        }
        return (long)(Mix(Mix(Mix((ulong)seed) ^ hash) ^ (ulong)number) >> 1);
    }

    /// <summary>A managed generator, for the order of data and for augmentation.</summary>
    public static Random Managed(long seed, string use, long number = 0) =>
        new(unchecked((int)(Derive(seed, use, number) & int.MaxValue)));

    /// <summary>A libtorch generator on the CPU, for tensors.</summary>
    public static torch.Generator Torch(long seed, string use, long number = 0) =>
        new((ulong)Derive(seed, use, number), torch.CPU);

    /// <summary>A normal number, mean 0, variance 1 (Box and Muller 1958).</summary>
    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
