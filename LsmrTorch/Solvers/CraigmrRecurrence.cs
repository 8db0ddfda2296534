namespace LsmrTorch;

/// <summary>
/// The numbers of CRAIGMR for one right-hand side (Arioli and Orban 2017, "Iterative solution of symmetric quasi-definite
/// linear systems"; damping folded in as in Estrin, Orban and Saunders 2019, "LNLQ"). Golub–Kahan on A from b gives lower
/// bidiagonal L; one rotation a column folds λ into it, giving L̂ and V̄; a QR factorisation of L̂, another rotation a
/// column, gives the upper bidiagonal R; and y and x follow by short recurrences in the columns of U and V̄ times R⁻¹.
/// </summary>
/// <remarks>
/// Numbers like ‖A‖ are kept in units of a and those like ‖b‖ in units of b, so that products of them, and the columns of
/// V̄ R⁻¹ and U L̂⁻ᵀR⁻¹ that the solver makes with them, stay in range; powers of two change no digit.
/// </remarks>
internal sealed class CraigmrRecurrence
{
    private readonly double damp;
    private readonly PowerOfTwo a, b;
    private double damping, rhoBar, zetaBar, alphaOld, bound;
    private double transposedResidual = double.PositiveInfinity;

    public CraigmrRecurrence(double alpha, double beta, double damp)
    {
        (a, b) = (PowerOfTwo.Near(Math.Max(alpha, damp)), PowerOfTwo.Near(beta));
        RightHandSideNorm = beta;
        (alpha, beta, damp) = (a.In(alpha), b.In(beta), a.In(damp));
        this.damp = damp;
        damping = damp;
        zetaBar = beta;
        alphaOld = alpha;
        FoldDamping(alpha);
        rhoBar = AlphaHat;
        IsOrthogonal = beta > 0 && AlphaHat == 0;
    }

    /// <summary>The rotation of the present column: v̄ = c v + s q, q ← (s v − c q) · <see cref="QFactor"/>.</summary>
    public double CDamp { get; private set; }
    public double SDamp { get; private set; }
    public double QFactor { get; private set; }

    public double AlphaHat { get; private set; }
    public double BetaHat { get; private set; }
    public double Theta { get; private set; }
    public double Rho { get; private set; }
    public double Zeta { get; private set; }

    /// <summary>x ← x + <c>XFactor</c> D, D the column of V̄ R⁻¹ in units of 1 / a.</summary>
    public double XFactor => a.In(b.Of(Zeta));

    /// <summary>y ← y + <c>YFactor</c> f, f the column of U L̂⁻ᵀR⁻¹ in units of 1 / a².</summary>
    public double YFactor => a.In(a.In(b.Of(Zeta)));

    public double RightHandSideNorm { get; }

    /// <summary>‖b − A x − λ²y‖.</summary>
    public double ResidualNorm => b.Of(Math.Abs(zetaBar));

    /// <summary>
    /// Whether ‖Aᵀ(b − A x)‖ is at most this share of ‖A‖ ‖b − A x‖; false where λ > 0, when every b is in range.
    /// </summary>
    public bool IsOrthogonalTo(double share) => transposedResidual <= share * bound * Math.Abs(zetaBar);

    /// <summary>The largest column of the bidiagonal matrix: at most ‖A‖₂, and soon within a factor of two.</summary>
    public double NormBound => a.Of(bound);

    /// <summary>Aᵀb = 0 with λ = 0: no iteration can begin.</summary>
    public bool IsOrthogonal { get; }

    /// <summary>Takes in the next β; the factors up to <see cref="Zeta"/> are then those of this column.</summary>
    public void Step(double alpha, double beta)
    {
        (alpha, beta) = (a.In(alpha), a.In(beta));
        bound = Math.Max(bound, double.Hypot(alphaOld, beta));
        alphaOld = alpha;
        BetaHat = CDamp * beta;                                             // what the rotation leaves below
        double ell = SDamp * beta;                                          // and beside
        damping = double.Hypot(damp, ell);
        QFactor = damping == 0 ? 0 : ell / damping;

        Rho = double.Hypot(rhoBar, BetaHat);                                // QR
        double c = rhoBar / Rho, s = BetaHat / Rho;
        Zeta = c * zetaBar;
        zetaBar = s * zetaBar;
        if (damp == 0)
            transposedResidual = Math.Abs(alpha * beta * Zeta / Rho);
        sine = s;
        cosine = c;
    }

    /// <summary>Goes on to the next column, after the vectors of this one are done.</summary>
    public void Advance(double alpha)
    {
        FoldDamping(a.In(alpha));
        Theta = sine * AlphaHat;
        rhoBar = -cosine * AlphaHat;
    }

    private double sine, cosine;

    // (alpha, damping) -> alphaHat
    private void FoldDamping(double alpha)
    {
        AlphaHat = double.Hypot(alpha, damping);
        (CDamp, SDamp) = AlphaHat == 0 ? (1, 0) : (alpha / AlphaHat, damping / AlphaHat);
    }
}
