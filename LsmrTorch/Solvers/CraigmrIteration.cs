using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// CRAIGMR's vectors, on the same bidiagonalisation as LSMR, for one right-hand side or for several side by side, each with
/// the numbers of its own <see cref="CraigmrRecurrence"/>.
/// </summary>
/// <remarks>
/// Vectors a column beside x and y: u, e, f and a product (m); v, D and a product (n); with λ > 0 also q (n).
/// </remarks>
internal sealed class CraigmrIteration
{
    private readonly GolubKahan bidiagonal;

    // y-side: e (columns of U L̂⁻ᵀ) and f (its columns times R⁻¹). x-side: q (λ folded in) and D = V̄ R⁻¹.
    private Tensor e, f, D;
    private Tensor? q;
    private CraigmrRecurrence[] numbers;
    private readonly double[][] factors = new double[6][];

    /// <param name="A">Prepared for this solve.</param>
    /// <param name="b">Of A's OutputShape, or with one more dimension for columns.</param>
    /// <param name="damp">λ.</param>
    /// <param name="window">How many of the last u each new one is made orthogonal against.</param>
    /// <param name="readsOnce">As for <see cref="GolubKahan"/>.</param>
    public CraigmrIteration(LinearOperator A, Tensor b, double damp, int window, bool? readsOnce = null)
    {
        bidiagonal = new GolubKahan(A, Vectors.Copy(b), window, keepsU: true, readsOnce);
        bidiagonal.Begin();
        numbers = [.. bidiagonal.Alpha.Zip(bidiagonal.Beta, (alpha, beta) => new CraigmrRecurrence(alpha, beta, damp))];
        X = zeros_like(bidiagonal.V);
        Y = zeros_like(bidiagonal.U);
        D = zeros_like(bidiagonal.V);
        f = zeros_like(bidiagonal.U);
        e = bidiagonal.U.clone();
        if (damp > 0)
            q = zeros_like(bidiagonal.V);
        Vectors.Divide(e, Each(0, n => n.AlphaHat));                           // e1 = u1 / alphaHat1
    }

    /// <summary>x, the iterates of InputShape.</summary>
    public Tensor X { get; private set; }

    /// <summary>y, the iterates of OutputShape.</summary>
    public Tensor Y { get; private set; }

    public int Columns => numbers.Length;
    public int Iterations { get; private set; }
    public CraigmrRecurrence Numbers(int column) => numbers[column];
    public BidiagonalEntries Entries(int column) => bidiagonal.Entries[column];
    public bool IsFinite(int column) => bidiagonal.IsFinite(column);

    public void Step()
    {
        Iterations++;
        if (q is null) {
            Vectors.ScaleAdd(D, Each(0, n => -n.Theta), bidiagonal.V);      // D = v - theta D, divided below
        } else {                                                            // with the rotation of this column:
            Vectors.Combine(D, Each(0, n => -n.Theta), Each(1, n => n.CDamp), bidiagonal.V, Each(2, n => n.SDamp), q);     // D = vBar - theta D
            Vectors.Scale(q, Each(0, n => -n.CDamp));                       // with vBar = cDamp v + sDamp q
            Vectors.AddScaled(q, Each(0, n => n.SDamp), bidiagonal.V);      // q = sDamp v - cDamp q, scaled below
        }
        bidiagonal.Step();
        for (int j = 0; j < numbers.Length; j++) {
            if (IsFinite(j))
                numbers[j].Step(bidiagonal.Alpha[j], bidiagonal.Beta[j]);
        }
        if (q is not null)
            Vectors.Scale(q, Each(0, n => n.QFactor));

        ReadOnlySpan<double> theta = Each(0, n => n.Theta), rho = Each(1, n => n.Rho);                  // of this column
        ReadOnlySpan<double> xFactor = Each(2, n => n.XFactor), yFactor = Each(5, n => n.YFactor);
        for (int j = 0; j < numbers.Length; j++)
            numbers[j].Advance(bidiagonal.Alpha[j]);
        ReadOnlySpan<double> betaHat = Each(3, n => n.BetaHat), alphaHat = Each(4, n => n.AlphaHat);                    // of the next
        Vectors.Move(D, rho, X, xFactor);                                   // D = (vBar - theta D) / rho, x = x + zeta D
        // f = (e - theta f) / rho, y = y + zeta f, e = (u - betaHat e) / alphaHat
        Vectors.Advance(f, theta, rho, Y, yFactor, e, betaHat, alphaHat, bidiagonal.U);
    }

    /// <summary>Goes on with these columns alone.</summary>
    public void Keep(long[] columns)
    {
        (Tensor, Tensor, Tensor, Tensor, Tensor) old = (X, Y, e, f, D);
        (X, Y) = (Vectors.Columns(X, columns), Vectors.Columns(Y, columns));
        (e, f, D) = (Vectors.Columns(e, columns), Vectors.Columns(f, columns), Vectors.Columns(D, columns));
        foreach (Tensor dropped in new[] { old.Item1, old.Item2, old.Item3, old.Item4, old.Item5 })
            dropped.Dispose();
        if (q is { } oldQ) {
            q = Vectors.Columns(oldQ, columns);
            oldQ.Dispose();
        }
        bidiagonal.Keep(columns);
        numbers = GolubKahan.Columns(numbers, columns);
    }

    // A number of each column, in an array that is used again.
    private ReadOnlySpan<double> Each(int place, Func<CraigmrRecurrence, double> number)
    {
        double[] all = factors[place] is { } made && made.Length == numbers.Length ? made : factors[place] = new double[numbers.Length];
        for (int j = 0; j < all.Length; j++)
            all[j] = number(numbers[j]);
        return all;
    }
}
