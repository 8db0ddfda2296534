using System.Text.Json.Serialization;

namespace LsmrTorch.Experiments.Solve;

/// <summary>What the command line of `solve` says; null leaves the library's default.</summary>
internal sealed record SolveSettings
{
    /// <summary>The file of A.</summary>
    public required string Matrix { get; init; }

    /// <summary>The file of b; without it b = A·1.</summary>
    public string? RightHandSide { get; init; }

    public double Damp { get; init; }

    public double? Atol { get; init; }

    public double? Btol { get; init; }

    public double? ConditionLimit { get; init; }

    public int? MaxIterations { get; init; }

    /// <summary>The file that x goes to, as a MatrixMarket array; without it x is not written.</summary>
    public string? SolutionFile { get; init; }

    /// <summary>The folder of the results.</summary>
    public required string Out { get; init; }

    /// <summary>Whether to replace what another experiment left in <see cref="Out"/>.</summary>
    [JsonIgnore]
    public bool Overwrite { get; init; }
}
