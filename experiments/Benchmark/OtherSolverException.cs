namespace LsmrTorch.Experiments.Benchmark;

/// <summary>The process of another solver is missing, has ended, or answers nonsense; the message says which, in a sentence.</summary>
internal sealed class OtherSolverException(string message) : Exception(message);
