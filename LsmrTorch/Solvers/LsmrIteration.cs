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
    private readonly LinearOperator A;
    private readonly GolubKahan bidiagonal;
    private long began;

    // The vectors: x, and the directions h (of the first factorisation) and h̄ (of the second).
    private Tensor x, h, hBar;
    private Tensor? norms;      // of x, where numbers stay on the device until they are read together
    private LsmrRecurrence[] numbers;
    private double[] hBarFactors, xFactors, hFactors;

    /// <param name="A">Prepared for this solve.</param>
    /// <param name="columns">Of the right-hand sides to come; null for one without a dimension for columns.</param>
    /// <param name="damp">λ.</param>
    /// <param name="window">How many of the last v each new one is made orthogonal against.</param>
    /// <param name="readsOnce">As for <see cref="GolubKahan"/>; ‖x‖ is then known an iteration late.</param>
    public LsmrIteration(LinearOperator A, long? columns, double damp, int window, bool? readsOnce = null)
    {
        this.A = A;
        long[] more = columns is long k ? [k] : [];
        int count = (int)(columns ?? 1);
        x = zeros([.. A.InputShape, .. more], A.dtype, A.device);
        bidiagonal = new GolubKahan(A, empty([.. A.OutputShape, .. more], A.dtype, A.device), window, readsOnce: readsOnce);
        if (bidiagonal.ReadsOnce)
            norms = zeros(count, float64, A.device);
        h = empty_like(x);
        hBar = empty_like(x);
        numbers = [.. Enumerable.Range(0, count).Select(_ => new LsmrRecurrence(damp))];
        (hBarFactors, xFactors, hFactors) = (new double[count], new double[count], new double[count]);
        (RightHandSideNorm, SolutionNorm) = (new double[count], new double[count]);
    }

    /// <summary>Begins with a right-hand side, of A's OutputShape and columns; forgets what was before.</summary>
    /// <param name="b">Is not written to.</param>
    /// <param name="x0">The start, zero if null.</param>
    /// <param name="bImage">Aᵀb, where it is known already and x0 is zero.</param>
    public void Begin(Tensor b, Tensor? x0 = null, Tensor? bImage = null)
    {
        began = Stopwatch.GetTimestamp();
        Iterations = 0;
        Vectors.Norms(b, RightHandSideNorm);
        Vectors.Assign(bidiagonal.U, b);
        if (x0 is null) {
            Vectors.Clear(x);
            Array.Clear(SolutionNorm);
            if (bImage is not null)
                Vectors.Assign(bidiagonal.V, bImage);
        } else {
            Vectors.Assign(x, x0);
            Vectors.Norms(x, SolutionNorm);
            Augmented.Residual(A, x, bidiagonal.U, bidiagonal.V);
        }
        if (norms is not null) {
            using Tensor start = Vectors.Row(SolutionNorm, norms);
            norms.copy_(start);
        }
        bidiagonal.Begin(hasStartImage: (x0 is not null || bImage is not null) && IsInRange(bidiagonal.V));
        Vectors.Assign(h, bidiagonal.V);
        Vectors.Clear(hBar);
        for (int j = 0; j < numbers.Length; j++)
            numbers[j].Begin(bidiagonal.Alpha[j], bidiagonal.Beta[j]);
    }

    // Aᵀr of an r that is not normalised may leave the range; then it is made again, of r / ‖r‖.
    private bool IsInRange(Tensor image)
    {
        double least = A.dtype == ScalarType.Float32 ? 1e-25 : 1e-250;
        return Vectors.Norms(image, Columns).All(norm => double.IsFinite(norm) && norm > least);
    }

    /// <summary>The iterates of the columns that are still iterated; owned by the scope in which the iteration was made.</summary>
    public Tensor X => x;

    public int Columns => numbers.Length;
    public int Iterations { get; private set; }
    public double[] RightHandSideNorm { get; private set; }

    /// <summary>‖x‖ of each column; that of the iterate before, where numbers stay on the device.</summary>
    public double[] SolutionNorm { get; private set; }

    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(began);
    public LsmrRecurrence Numbers(int column) => numbers[column];
    public BidiagonalEntries Entries(int column) => bidiagonal.Entries[column];

    public bool IsFinite(int column) =>
        bidiagonal.IsFinite(column) && double.IsFinite(RightHandSideNorm[column]) && double.IsFinite(SolutionNorm[column]);

    public void Step()
    {
        Iterations++;
        if (bidiagonal.ReadsOnce)
            bidiagonal.StepOnDevice(norms, SolutionNorm);       // the norm of the x before: that of the next comes with the next numbers
        else
            bidiagonal.Step();
        for (int j = 0; j < numbers.Length; j++) {
            if (bidiagonal.IsFinite(j))
                numbers[j].Step(bidiagonal.Alpha[j], bidiagonal.Beta[j], Iterations == 1);
        }
        for (int j = 0; j < numbers.Length; j++)
            (hBarFactors[j], xFactors[j], hFactors[j]) = (numbers[j].HBarFactor, numbers[j].XFactor, numbers[j].HFactor);
        if (!bidiagonal.ReadsOnce)
            Vectors.Advance(hBar, hBarFactors, x, xFactors, h, hFactors, bidiagonal.V, SolutionNorm);
        else
            AdvanceOnDevice();
    }

    // The same in three operations, where each is a launch.
    private void AdvanceOnDevice()
    {
        Replace(ref hBar, Vectors.Sum(h, hBarFactors, hBar));
        Vectors.AddScaled(x, xFactors, hBar);
        Replace(ref h, Vectors.Sum(bidiagonal.V, hFactors, h));
        Replace(ref norms!, Vectors.DeviceNorms(x, Columns));

        static void Replace(ref Tensor place, Tensor current)
        {
            place.Dispose();
            place = current;
        }
    }

    /// <summary>‖x‖ of a column as it is now.</summary>
    public double NormOfSolution(int column) => !bidiagonal.ReadsOnce ? SolutionNorm[column] : Vectors.Norms(x, Columns)[column];

    /// <summary>Goes on with these columns alone.</summary>
    public void Keep(long[] columns)
    {
        (Tensor oldX, Tensor oldH, Tensor oldHBar) = (x, h, hBar);
        (x, h, hBar) = (Vectors.Columns(x, columns), Vectors.Columns(h, columns), Vectors.Columns(hBar, columns));
        oldX.Dispose();
        oldH.Dispose();
        oldHBar.Dispose();
        if (norms is { } oldNorms) {
            norms = Vectors.Columns(oldNorms, columns);
            oldNorms.Dispose();
        }
        bidiagonal.Keep(columns);
        numbers = GolubKahan.Columns(numbers, columns);
        (hBarFactors, xFactors, hFactors) = (new double[columns.Length], new double[columns.Length], new double[columns.Length]);
        RightHandSideNorm = GolubKahan.Columns(RightHandSideNorm, columns);
        SolutionNorm = GolubKahan.Columns(SolutionNorm, columns);
    }
}
