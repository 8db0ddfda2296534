using System.Text.Json;
using System.Text.Json.Serialization;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>A small problem with its solution and gradients, as the file has them; matrices by rows.</summary>
internal sealed record ReferenceCase
{
    [JsonPropertyName("name")]
    public required string Name { get; init; }

    [JsonPropertyName("m")]
    public required int Rows { get; init; }

    [JsonPropertyName("n")]
    public required int Columns { get; init; }

    [JsonPropertyName("A_rowmajor")]
    public required double[] Matrix { get; init; }

    [JsonPropertyName("b")]
    public required double[] RightHandSide { get; init; }

    [JsonPropertyName("damp")]
    public required double Damp { get; init; }

    [JsonPropertyName("x0")]
    public required double[] Start { get; init; }

    /// <summary>L = ⟨g, x⟩.</summary>
    [JsonPropertyName("g")]
    public required double[] Cotangent { get; init; }

    [JsonPropertyName("rank")]
    public required int Rank { get; init; }

    [JsonPropertyName("x")]
    public required double[] Solution { get; init; }

    [JsonPropertyName("dL_db")]
    public required double[] RhsGradient { get; init; }

    [JsonPropertyName("dL_dA_rowmajor")]
    public required double[] MatrixGradient { get; init; }

    [JsonPropertyName("dL_dx0")]
    public required double[] StartGradient { get; init; }

    [JsonPropertyName("dL_ddamp")]
    public required double DampGradient { get; init; }
}

/// <summary>Reads the list <c>small</c> of a file of cases; its list <c>real</c>, rows for matrices kept elsewhere, is passed over.</summary>
internal static class CasesFile
{
    private const int MostBytes = 1 << 26;
    private static readonly JsonSerializerOptions s_strict = new() { RespectNullableAnnotations = true };

    private sealed record Content
    {
        [JsonPropertyName("small")]
        public required ReferenceCase[] Small { get; init; }
    }

    /// <summary>The cases in the order of the file.</summary>
    /// <exception cref="ExperimentException">The file is missing, damaged, or has no cases.</exception>
    public static IReadOnlyList<ReferenceCase> Read(string path)
    {
        if (!File.Exists(path)) {
            throw new ExperimentException($"The cases file {Quoted.Path(path)} does not exist.");
        }
        ReferenceCase?[] cases;
        try {
            cases = JsonSerializer.Deserialize<Content>(BoundedFile.ReadText(path, MostBytes), s_strict)?.Small ?? [];
        } catch (Exception error) when (error is JsonException or InvalidOperationException or NotSupportedException) {
            throw new ExperimentException(
                $"{Quoted.Path(path)} is not a file of least-squares cases: {Quoted.Reason(error.Message)}", error);
        }
        if (cases.Length == 0) {
            throw new ExperimentException($"{Quoted.Path(path)} has no cases under 'small'.");
        }
        for (int i = 0; i < cases.Length; i++) {
            if (Fault(cases[i]) is string fault) {
                throw new ExperimentException($"Case {i} of {Quoted.Path(path)} {fault}.");
            }
        }
        return cases!;
    }

    private static string? Fault(ReferenceCase? at)
    {
        if (at is null) {
            return "is null";
        }
        (int m, int n) = (at.Rows, at.Columns);
        if (m < 1 || n < 1 || (long)m * n > int.MaxValue) {
            return $"has shape ({m}, {n})";
        }
        (string Name, double[] Values, int Length)[] lists = [
            ("A_rowmajor", at.Matrix, m * n), ("b", at.RightHandSide, m), ("x0", at.Start, n), ("g", at.Cotangent, n),
            ("x", at.Solution, n), ("dL_db", at.RhsGradient, m), ("dL_dA_rowmajor", at.MatrixGradient, m * n),
            ("dL_dx0", at.StartGradient, n),
        ];
        foreach ((string name, double[] values, int length) in lists) {
            if (values.Length != length) {
                return $"has {values.Length} numbers in {name} where its shape ({m}, {n}) asks for {length}";
            }
            if (!Array.TrueForAll(values, double.IsFinite)) {
                return $"has a number in {name} that is not finite";
            }
        }
        return !double.IsFinite(at.Damp) || !double.IsFinite(at.DampGradient) ? "has a number in damp or dL_ddamp that is not finite"
            : at.Damp < 0 ? FormattableString.Invariant($"has damp {at.Damp}, which must not be negative")
            : at.Rank < 0 || at.Rank > Math.Min(m, n) ? $"has rank {at.Rank}, which must be between 0 and {Math.Min(m, n)}"
            : null;
    }
}
