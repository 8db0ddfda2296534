namespace LsmrTorch.Experiments.Benchmark;

/// <summary>What one method's turn in a round gave.</summary>
/// <param name="Microseconds">For an iteration, or for one call where there are none.</param>
/// <param name="FixedMicroseconds">What a solve costs besides its iterations; null where there are none.</param>
/// <param name="Iterations">Of the longest solve; 0 where there are none.</param>
internal sealed record Sample(double Microseconds, double? FixedMicroseconds, int Iterations);
