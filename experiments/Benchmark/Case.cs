namespace LsmrTorch.Experiments.Benchmark;

/// <summary>Methods that are timed on one problem, in turns.</summary>
/// <param name="Name">As figures name it.</param>
/// <param name="Group">The line of a plot that it is a point of.</param>
/// <param name="Bytes">What the matrix takes in memory; 0 where there is none.</param>
/// <param name="Rounds">How often every method has its turn.</param>
/// <param name="Methods">The first is ours.</param>
internal sealed record Case(string Name, string Group, long Bytes, int Rounds, IReadOnlyList<Method> Methods);

/// <summary>A case's measurements, one of each method for each round, in the methods' order.</summary>
internal sealed record CaseResult(string Name, string Group, long Bytes, IReadOnlyList<(string Method, Sample[] Samples)> Methods)
{
    /// <summary>A method's samples, or null where it had to be left out.</summary>
    public Sample[]? Of(string method) => Methods.FirstOrDefault(at => at.Method == method).Samples;

    /// <summary>A method's times, in microseconds.</summary>
    public double[] Times(string method) => [.. Of(method)!.Select(sample => sample.Microseconds)];
}
