namespace LsmrTorch.Experiments.Conditioning;

/// <summary>A way to solve, measured beside the others in every sweep.</summary>
/// <param name="Name">As table, plots and metrics name it; the first is the plain one, whose figures have no suffix.</param>
/// <param name="Apply">What it changes in the options of every solve; an ArgumentException counts as a failure of the point.</param>
internal sealed record Variant(string Name, Func<LsmrOptions, GradedProblem, LsmrOptions> Apply)
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<Variant> All { get; } = [
        new("plain", (options, _) => options),
        new("reorthogonalised", (options, problem) => options with { Reorthogonalise = (int)problem.Cotangent.numel() }), // all past vectors
        new("preconditioned", (options, problem) => options with { // by the rounded entries of A, without noise
            Preconditioner = Preconditioner.Sketch(LinearOperator.FromMatrix(problem.Matrix()), options.Damp.Value),
        }),
    ];
}
