using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// What one solve leaves for the next of a sequence whose operator and right-hand side drift, as in training: the solution x
/// and the w of the backward pass. The caller holds one for each layer, gives it with <see cref="LsmrOptions.WarmStart"/>, and
/// disposes it. The answer does not move, but for round-off and what the tolerances allow.
/// </summary>
/// <remarks>
/// With damping x is begun from by solving with [A; λI], since a start for the damped problem itself would pull the answer
/// towards it. Without, A must have at least as many rows as columns, and they must be independent: that is measured
/// once, and where it does not hold solves begin as they would have. Backward, w₀ leaves g − AᵀA w₀ − λ²w₀ to solve for. A change of
/// shape, dtype or device begins anew. For one layer and one thread.
/// </remarks>
public sealed class WarmStart : IDisposable
{
    private Tensor? solution, adjoint;

    /// <summary>Whether the undamped operator was measured to have independent columns; null before.</summary>
    internal bool? FullColumnRank { get; set; }

    /// <summary>The x to begin from, if there is one like this.</summary>
    internal Tensor? Solution(Tensor like) => Fitting(solution, like);

    /// <summary>The w to begin from, if there is one like this.</summary>
    internal Tensor? Adjoint(Tensor like) => Fitting(adjoint, like);

    internal void KeepSolution(Tensor x) => Keep(ref solution, x);

    internal void KeepAdjoint(Tensor w) => Keep(ref adjoint, w);

    /// <summary>Forgets what is held.</summary>
    public void Reset()
    {
        solution?.Dispose();
        adjoint?.Dispose();
        (solution, adjoint, FullColumnRank) = (null, null, null);
    }

    /// <summary>Frees the tensors.</summary>
    public void Dispose() => Reset();

    private static Tensor? Fitting(Tensor? held, Tensor like) =>
        held is not null && held.shape.SequenceEqual(like.shape) && held.dtype == like.dtype && held.device.ToString() == like.device.ToString()
            ? held
            : null;

    private static void Keep(ref Tensor? place, Tensor x)
    {
        place?.Dispose();
        using Tensor detached = x.detach();
        place = detached.clone().DetachFromDisposeScope();
    }
}
