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
/// shape, dtype or device begins anew. For one layer; on several threads each solve begins from whatever was found
/// last.
/// </remarks>
public sealed class WarmStart : IDisposable
{
    private readonly Lock gate = new();
    private bool isDisposed;
    private Tensor? solution, adjoint;
    private (long Rows, long Columns, bool IsFull)? rank;

    /// <summary>Whether an undamped operator of this size was measured to have independent columns; null if none was.</summary>
    internal bool? FullColumnRank(LinearOperator A)
    {
        lock (gate)
            return rank is { } known && (known.Rows, known.Columns) == (A.Rows, A.Columns) ? known.IsFull : null;
    }

    internal void KeepRank(LinearOperator A, bool isFull)
    {
        lock (gate)
            rank = (A.Rows, A.Columns, isFull);
    }

    /// <summary>The x of this shape to begin from, if there is one, in the current dispose scope.</summary>
    /// <exception cref="ObjectDisposedException">The start was disposed.</exception>
    internal Tensor? Solution(long[] shape, LinearOperator A)
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        lock (gate)
            return Fitting(solution, shape, A);
    }

    /// <summary>The w of this shape to begin from, if there is one, in the current dispose scope.</summary>
    internal Tensor? Adjoint(long[] shape, LinearOperator A)
    {
        lock (gate)
            return Fitting(adjoint, shape, A);
    }

    /// <summary>
    /// c x for the last x, with c = argmin ‖b − c A x‖² + λ²‖c x − x0‖² for each column, which a change of b's size leaves as good as
    /// it was; null where that is no better than to begin from zero. In the current dispose scope.
    /// </summary>
    internal static Tensor? Scaled(Tensor last, LinearOperator A, Tensor b, Tensor? x0, double damp)
    {
        int count = last.dim() > A.InputShape.Count ? (int)last.shape[^1] : 1;
        Tensor start = last.clone();
        Vectors.Divide(start, Vectors.Norms(start, count));
        Tensor image = Augmented.Product(A, start);
        double[] images = Vectors.Norms(image, count), units = Vectors.Norms(start, count), rights = Vectors.Norms(b, count);
        double[] ofB = Vectors.Dots(b, image, count), ofStart = x0 is null ? new double[count] : Vectors.Dots(x0, start, count);
        double[] starts = x0 is null ? new double[count] : Vectors.Norms(x0, count);
        double[] factors = new double[count];
        double leastGain = 100 * Vectors.Epsilon(A.dtype);      // less is round-off, and no better than zero
        bool isBetter = false;
        for (int j = 0; j < count; j++) {
            double size = double.Hypot(images[j], damp * units[j]);         // of [A; λI] x
            double share = (ofB[j] / size + damp * damp * (ofStart[j] / size)) / size;
            double gain = share * size / double.Hypot(rights[j], damp * starts[j]);      // the cosine between [b; λ x0] and [A; λI] x
            bool isUsed = double.IsFinite(share) && Math.Abs(gain) > leastGain;
            factors[j] = isUsed ? share : 0;
            isBetter |= isUsed;
        }
        if (!isBetter)
            return null;
        Vectors.Scale(start, factors);
        return start;
    }

    internal void KeepSolution(Tensor x) => Keep(ref solution, x);

    internal void KeepAdjoint(Tensor w) => Keep(ref adjoint, w);

    /// <summary>Forgets what is held.</summary>
    public void Reset()
    {
        lock (gate) {
            solution?.Dispose();
            adjoint?.Dispose();
            (solution, adjoint, rank) = (null, null, null);
        }
    }

    /// <summary>
    /// Frees the tensors. A solve that is given it after that throws; a backward pass does without it.
    /// </summary>
    public void Dispose()
    {
        lock (gate) {
            isDisposed = true;
            Reset();
        }
    }

    private static Tensor? Fitting(Tensor? held, long[] shape, LinearOperator A) =>
        held is not null && held.shape.SequenceEqual(shape) && held.dtype == A.dtype && held.device.ToString() == A.device.ToString()
            ? held.alias()          // which lives on where another thread replaces what is held
            : null;

    // What is not finite would never leave: it is not held.
    private void Keep(ref Tensor? place, Tensor x)
    {
        using Tensor detached = x.detach();
        lock (gate) {
            place?.Dispose();
            place = null;
            if (!isDisposed && double.IsFinite(Vectors.Norm(detached)))
                place = detached.clone().DetachFromDisposeScope();
        }
    }
}
