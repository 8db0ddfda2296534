namespace LsmrTorch.Experiments.Benchmark;

/// <summary>One solve: the iterations that it did, and how long it took.</summary>
internal readonly record struct TimedSolve(int Iterations, double Seconds);
