using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>Gives every method of a case its turn in every round.</summary>
internal static class Rounds
{
    /// <summary>Measures; a method that fails because its process does is left out, and its reason is said.</summary>
    /// <param name="at">The case.</param>
    /// <param name="sizes">How long to warm up, and about how long a turn should take.</param>
    /// <param name="folder">Takes a line of metrics for each turn.</param>
    /// <param name="stop">Looked at before each turn.</param>
    /// <param name="roundDone">Called after each round.</param>
    public static CaseResult Run(Case at, BenchmarkSizes sizes, RunFolder folder, CancellationToken stop, Action roundDone)
    {
        var samples = at.Methods.ToDictionary(method => method, _ => new List<Sample>());
        foreach (Method method in at.Methods) {
            Try(method, () => method.WarmUp(sizes.WarmUpSeconds, sizes.TurnSeconds));
        }
        for (int round = 0; round < at.Rounds; round++) {
            Method[] order = [.. at.Methods.Where(samples.ContainsKey)];
            for (int i = 0; i < order.Length; i++) {
                Method method = order[(i + round) % order.Length];  // nobody is always behind the same one
                Try(method, () => {
                    Sample sample = method.Turn();
                    samples[method].Add(sample);
                    folder.WriteMetric("sample", new { Case = at.Name, Method = method.Name, Round = round, sample.Microseconds, sample.FixedMicroseconds, sample.Iterations });
                });
            }
            roundDone();
        }
        return new CaseResult(at.Name, at.Group, at.Bytes,
            [.. at.Methods.Where(samples.ContainsKey).Select(method => (method.Name, samples[method].ToArray()))]);

        void Try(Method method, Action act)
        {
            stop.ThrowIfCancellationRequested();
            if (!samples.ContainsKey(method)) {
                return;
            }
            GC.Collect();                                       // between turns, and not within one
            GC.WaitForPendingFinalizers();
            try {
                act();
            } catch (OtherSolverException) {                    // the process has said why, and is named in the notes
                samples.Remove(method);
            }
        }
    }
}
