namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>
/// Relative errors of one cell. A is the operator's parameters, taken as one vector; Difference is the worst of
/// the four gradients against central differences, for float64 alone.
/// </summary>
internal sealed record CellErrors(
    double X, double B, double A, double Damp, double X0, double? Difference, int Iterations)
{
    public double Worst => Math.Max(Math.Max(X, Math.Max(B, A)), Math.Max(Damp, X0));

    /// <summary>The five in the order of <see cref="Quantities"/>.</summary>
    public double[] Values => [X, B, A, Damp, X0];

    public static IReadOnlyList<string> Quantities { get; } = ["x", "b", "A", "damp", "x0"];
}
