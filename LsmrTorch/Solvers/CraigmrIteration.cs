using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// CRAIGMR's vectors, on the same bidiagonalisation as LSMR, for one right-hand side or for several side by side, each with
/// the numbers of its own <see cref="CraigmrRecurrence"/>.
/// </summary>
/// <remarks>
/// Vectors a column beside x and y: u, e, f and a product (m); v, D and a product (n); with λ > 0 also v̄ and q (n).
/// </remarks>
internal sealed class CraigmrIteration
{
    private readonly GolubKahan bidiagonal;

    // y-side: e (columns of U L̂⁻ᵀ) and f (its columns times R⁻¹). x-side: v̄ and q (λ folded in), D = V̄ R⁻¹.
    private Tensor e, f, D;
    private Tensor? vBar, q;
    private CraigmrRecurrence[] numbers;

    public CraigmrIteration(LinearOperator A, Tensor b, double damp, int window)
    {
        bidiagonal = new GolubKahan(A, Vectors.Copy(b), window, keepsU: true);
        bidiagonal.Begin();
        numbers = [.. bidiagonal.Alpha.Zip(bidiagonal.Beta, (alpha, beta) => new CraigmrRecurrence(alpha, beta, damp))];
        X = zeros_like(bidiagonal.V);
        Y = zeros_like(bidiagonal.U);
        D = zeros_like(bidiagonal.V);
        f = zeros_like(bidiagonal.U);
        e = bidiagonal.U.clone();
        if (damp > 0)
            (vBar, q) = (zeros_like(bidiagonal.V), zeros_like(bidiagonal.V));
        Vectors.Divide(e, Each(n => n.AlphaHat));                           // e1 = u1 / alphaHat1
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
        if (q is not null && vBar is not null) {                            // with the rotation of this column
            vBar.copy_(q);
            Vectors.Scale(vBar, Each(n => n.SDamp));
            Vectors.AddScaled(vBar, Each(n => n.CDamp), bidiagonal.V);      // vBar = cDamp v + sDamp q
            Vectors.Scale(q, Each(n => -n.CDamp));
            Vectors.AddScaled(q, Each(n => n.SDamp), bidiagonal.V);         // q = sDamp v - cDamp q, scaled below
        }
        Vectors.ScaleAdd(D, Each(n => -n.Theta), vBar ?? bidiagonal.V);     // D = vBar - theta D, divided below
        bidiagonal.Step();
        for (int j = 0; j < numbers.Length; j++) {
            if (IsFinite(j))
                numbers[j].Step(bidiagonal.Alpha[j], bidiagonal.Beta[j]);
        }
        if (q is not null)
            Vectors.Scale(q, Each(n => n.QFactor));

        Vectors.ScaleAdd(f, Each(n => -n.Theta), e);
        Vectors.Divide(f, Each(n => n.Rho));                                // f = (e - theta f) / rho
        Vectors.AddScaled(Y, Each(n => n.Zeta), f);                         // y = y + zeta f
        Vectors.Divide(D, Each(n => n.Rho));                                // D = (vBar - theta D) / rho
        Vectors.AddScaled(X, Each(n => n.Zeta), D);                         // x = x + zeta D

        for (int j = 0; j < numbers.Length; j++)
            numbers[j].Advance(bidiagonal.Alpha[j]);
        Vectors.ScaleAdd(e, Each(n => -n.BetaHat), bidiagonal.U);
        Vectors.Divide(e, Each(n => n.AlphaHat));                           // e = (u - betaHat e) / alphaHat
    }

    /// <summary>Goes on with these columns alone.</summary>
    public void Keep(long[] columns)
    {
        (Tensor, Tensor, Tensor, Tensor, Tensor) old = (X, Y, e, f, D);
        (X, Y) = (Vectors.Columns(X, columns), Vectors.Columns(Y, columns));
        (e, f, D) = (Vectors.Columns(e, columns), Vectors.Columns(f, columns), Vectors.Columns(D, columns));
        foreach (Tensor dropped in new[] { old.Item1, old.Item2, old.Item3, old.Item4, old.Item5 })
            dropped.Dispose();
        if (q is { } oldQ && vBar is { } oldVBar) {
            (q, vBar) = (Vectors.Columns(oldQ, columns), Vectors.Columns(oldVBar, columns));
            oldQ.Dispose();
            oldVBar.Dispose();
        }
        bidiagonal.Keep(columns);
        numbers = GolubKahan.Columns(numbers, columns);
    }

    private double[] Each(Func<CraigmrRecurrence, double> factor) => [.. numbers.Select(factor)];
}
