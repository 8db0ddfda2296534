using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// LSMR's vectors, for one right-hand side or for several side by side (the columns of a tensor), each with the numbers of
/// its own <see cref="LsmrRecurrence"/>.
/// </summary>
/// <remarks>
/// Vectors beside x: u, v, h, h̄ and one product at a time, at most 4n + 2m a column. Where this departs from SciPy's lsmr: with
/// x0 and b = 0 the answer is still the solution; a step that meets NaN leaves the solution NaN.
/// </remarks>
internal sealed class LsmrIteration
{
    private readonly GolubKahan bidiagonal;
    private readonly Stopwatch clock = Stopwatch.StartNew();

    // The vectors: x, and the directions h (of the first factorisation) and h̄ (of the second).
    private Tensor x, h, hBar;
    private LsmrRecurrence[] numbers;
    private double[] hBarFactors, xFactors, hFactors;

    /// <param name="A">Prepared for this solve.</param>
    /// <param name="b">Of A's OutputShape, or with one more dimension for columns.</param>
    /// <param name="x0">The start, zero if null.</param>
    /// <param name="damp">λ.</param>
    /// <param name="window">How many of the last v each new one is made orthogonal against.</param>
    /// <param name="bImage">Aᵀb, where it is known already and x0 is zero. Taken over.</param>
    public LsmrIteration(LinearOperator A, Tensor b, Tensor? x0, double damp, int window, Tensor? bImage = null)
    {
        bool isBlock = b.dim() > A.OutputShape.Count;
        int columns = isBlock ? (int)b.shape[^1] : 1;
        RightHandSideNorm = Vectors.Norms(b, columns);
        x = x0 is null ? zeros(isBlock ? [.. A.InputShape, columns] : [.. A.InputShape], A.dtype, A.device) : Vectors.Copy(x0);
        (Tensor u, Tensor? image) = x0 is null ? (Vectors.Copy(b), bImage) : Augmented.Residual(A, b, x);
        bidiagonal = new GolubKahan(A, u, window, startImage: image);
        h = bidiagonal.V.clone();
        hBar = zeros_like(h);
        numbers = [.. bidiagonal.Alpha.Zip(bidiagonal.Beta, (alpha, beta) => new LsmrRecurrence(alpha, beta, damp))];
        (hBarFactors, xFactors, hFactors) = (new double[columns], new double[columns], new double[columns]);
        SolutionNorm = x0 is null ? new double[columns] : Vectors.Norms(x, columns);
    }

    /// <summary>The iterates of the columns that are still iterated; owned by the scope in which the iteration was made.</summary>
    public Tensor X => x;

    public int Columns => numbers.Length;
    public int Iterations { get; private set; }
    public double[] RightHandSideNorm { get; private set; }
    public double[] SolutionNorm { get; private set; }
    public TimeSpan Elapsed => clock.Elapsed;
    public LsmrRecurrence Numbers(int column) => numbers[column];
    public BidiagonalEntries Entries(int column) => bidiagonal.Entries[column];

    public bool IsFinite(int column) =>
        bidiagonal.IsFinite(column) && double.IsFinite(RightHandSideNorm[column]) && double.IsFinite(SolutionNorm[column]);

    public void Step()
    {
        Iterations++;
        bidiagonal.Step();
        for (int j = 0; j < numbers.Length; j++) {
            if (bidiagonal.IsFinite(j))
                numbers[j].Step(bidiagonal.Alpha[j], bidiagonal.Beta[j], Iterations == 1);
        }
        for (int j = 0; j < numbers.Length; j++)
            (hBarFactors[j], xFactors[j], hFactors[j]) = (numbers[j].HBarFactor, numbers[j].XFactor, numbers[j].HFactor);
        Vectors.Advance(hBar, hBarFactors, x, xFactors, h, hFactors, bidiagonal.V, SolutionNorm);
    }

    /// <summary>Goes on with these columns alone.</summary>
    public void Keep(long[] columns)
    {
        (Tensor oldX, Tensor oldH, Tensor oldHBar) = (x, h, hBar);
        (x, h, hBar) = (Vectors.Columns(x, columns), Vectors.Columns(h, columns), Vectors.Columns(hBar, columns));
        oldX.Dispose();
        oldH.Dispose();
        oldHBar.Dispose();
        bidiagonal.Keep(columns);
        numbers = GolubKahan.Columns(numbers, columns);
        (hBarFactors, xFactors, hFactors) = (new double[columns.Length], new double[columns.Length], new double[columns.Length]);
        RightHandSideNorm = GolubKahan.Columns(RightHandSideNorm, columns);
        SolutionNorm = GolubKahan.Columns(SolutionNorm, columns);
    }
}
