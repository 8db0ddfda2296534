namespace LsmrTorch.Experiments.Conditioning;

/// <summary>A way to solve, measured beside the others in every sweep.</summary>
/// <param name="Name">As table, plots and metrics name it; the first is the plain one, whose figures have no suffix.</param>
/// <param name="Apply">What it changes in the options of every solve.</param>
internal sealed record Variant(string Name, Func<LsmrOptions, LsmrOptions> Apply)
{
    /// <summary>All of them; a preconditioner or reorthogonalisation is one line here.</summary>
    public static IReadOnlyList<Variant> All { get; } = [
        new("plain", options => options),
    ];
}
