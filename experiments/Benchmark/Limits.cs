namespace LsmrTorch.Experiments.Benchmark;

/// <summary>The iterations of the shorter and of the longer solve that time per iteration is made of.</summary>
internal sealed record Limits(int Few, int Many);
