namespace LsmrTorch;

/// <summary>
/// The numbers of CRAIGMR for one right-hand side (Arioli and Orban 2017, "Iterative solution of symmetric quasi-definite
/// linear systems"; damping folded in as in Estrin, Orban and Saunders 2019, "LNLQ"). Golub–Kahan on A from b gives lower
/// bidiagonal L; one rotation a column folds λ into it, giving L̂ and V̄; a QR factorisation of L̂, another rotation a
/// column, gives the upper bidiagonal R; and y and x follow by short recurrences in the columns of U and V̄ times R⁻¹.
/// </summary>
internal sealed class CraigmrRecurrence
{
    private readonly double damp;
    private double damping, rhoBar, zetaBar, alphaOld;

    public CraigmrRecurrence(double alpha, double beta, double damp)
    {
        this.damp = damp;
        damping = damp;
        zetaBar = beta;
        alphaOld = alpha;
        FoldDamping(alpha);
        rhoBar = AlphaHat;
        RightHandSideNorm = beta;
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

    public double RightHandSideNorm { get; }

    /// <summary>‖b − A x − λ²y‖.</summary>
    public double ResidualNorm => Math.Abs(zetaBar);

    /// <summary>‖Aᵀ(b − A x)‖ where λ = 0; infinity where λ > 0, when every b is in range.</summary>
    public double TransposedResidualNorm { get; private set; } = double.PositiveInfinity;

    /// <summary>The largest column of the bidiagonal matrix: at most ‖A‖₂, and soon within a factor of two.</summary>
    public double NormBound { get; private set; }

    /// <summary>Aᵀb = 0 with λ = 0: no iteration can begin.</summary>
    public bool IsOrthogonal { get; }

    /// <summary>Takes in the next β; the factors up to <see cref="Zeta"/> are then those of this column.</summary>
    public void Step(double alpha, double beta)
    {
        NormBound = Math.Max(NormBound, double.Hypot(alphaOld, beta));
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
            TransposedResidualNorm = Math.Abs(alpha * beta * Zeta / Rho);
        sine = s;
        cosine = c;
    }

    /// <summary>Goes on to the next column, after the vectors of this one are done.</summary>
    public void Advance(double alpha)
    {
        FoldDamping(alpha);
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
