namespace LsmrTorch.Experiments.Benchmark;

/// <summary>One solve: the iterations that it did, and how long it took.</summary>
internal readonly record struct TimedSolve(int Iterations, double Seconds)
{
    /// <summary>Seconds per iteration, and seconds that every solve costs besides, from one with few iterations and one with many.</summary>
    /// <exception cref="ArgumentException">The second did no more iterations than the first.</exception>
    public static (double PerIteration, double Fixed) Slope(TimedSolve few, TimedSolve many)
    {
        if (many.Iterations <= few.Iterations) {
            throw new ArgumentException($"A slope needs more than {few.Iterations} iterations in the longer solve, which did {many.Iterations}.");
        }
        double perIteration = (many.Seconds - few.Seconds) / (many.Iterations - few.Iterations);
        return (perIteration, few.Seconds - (perIteration * few.Iterations));
    }
}
