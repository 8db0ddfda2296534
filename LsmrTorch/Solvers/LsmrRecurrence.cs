namespace LsmrTorch;

/// <summary>
/// The numbers of LSMR for one right-hand side (Fong and Saunders 2011, "LSMR: an iterative algorithm for sparse
/// least-squares problems", SIAM J. Sci. Comput. 33(5), section 2.8 and, for the estimates, section 3): two QR factorisations
/// of what Golub–Kahan makes, a column at a time. Names are the paper's, spelled out.
/// </summary>
/// <remarks>Where this departs from SciPy's lsmr: the condition estimate starts from the first pivot and not from a dummy 1, so that scaling A scales nothing else.</remarks>
internal sealed class LsmrRecurrence
{
    private readonly double damp;

    // First rotation (folds λ in), second (to upper bidiagonal R), third (R to lower bidiagonal).
    private double alphaBar, rho, rhoBar, cBar, sBar, zeta, zetaBar;

    // For the estimate of ‖r‖.
    private double betaDoubleDot, betaDot, rhoDotOld, tauTildeOld, thetaTilde, d;

    // For the estimates of ‖A‖ and cond(A): squares of the bidiagonal, extremes of the pivots.
    private double alphaOld, normSquared, maxPivot, minPivot;

    public LsmrRecurrence(double damp)
    {
        this.damp = damp;
    }

    /// <summary>Begins with α₁ and β₁.</summary>
    public void Begin(double alpha, double beta)
    {
        (alphaBar, rho, rhoBar, cBar, sBar, zeta, zetaBar) = (alpha, 1, 1, 1, 0, 0, alpha * beta);
        (betaDoubleDot, betaDot, rhoDotOld, tauTildeOld, thetaTilde, d) = (beta, 0, 1, 0, 0, 0);
        (alphaOld, normSquared, maxPivot, minPivot) = (alpha, alpha * alpha, 0, double.PositiveInfinity);
        (ResidualNorm, NormalResidualNorm) = (beta, alpha * beta);
        (FrobeniusEstimate, NormBound, ConditionEstimate) = (alpha, 0, 1);
    }

    /// <summary>h̄ ← <c>HBarFactor</c> h̄ + h.</summary>
    public double HBarFactor { get; private set; }

    /// <summary>x ← x + <c>XFactor</c> h̄.</summary>
    public double XFactor { get; private set; }

    /// <summary>h ← <c>HFactor</c> h + v.</summary>
    public double HFactor { get; private set; }

    public double ResidualNorm { get; private set; }
    public double NormalResidualNorm { get; private set; }
    public double FrobeniusEstimate { get; private set; }

    /// <summary>The largest column of the bidiagonal matrix and λ: at most ‖[A; λI]‖₂, and soon within a factor of two.</summary>
    public double NormBound { get; private set; }

    public double ConditionEstimate { get; private set; }

    /// <summary>Takes in the next α and β; <paramref name="isFirst"/> says whether they are the first.</summary>
    public void Step(double alpha, double beta, bool isFirst)
    {
        (double cHat, double sHat, double alphaHat) = Rotation(alphaBar, damp);     // (alphaBar, damp) -> alphaHat

        double rhoOld = rho;                                                        // (alphaHat, beta) -> rho
        (double c, double s, rho) = Rotation(alphaHat, beta);
        double thetaNew = s * alpha;
        alphaBar = c * alpha;

        double rhoBarOld = rhoBar, zetaOld = zeta;                                  // (cBar rho, theta) -> rhoBar
        double thetaBar = sBar * rho, rhoTemp = cBar * rho;
        (cBar, sBar, rhoBar) = Rotation(rhoTemp, thetaNew);
        zeta = cBar * zetaBar;
        zetaBar = -sBar * zetaBar;

        HBarFactor = -(thetaBar * rho) / (rhoOld * rhoBarOld);                      // hBar = h - (thetaBar rho / (rhoOld rhoBarOld)) hBar
        XFactor = zeta / (rho * rhoBar);                                            // x = x + (zeta / (rho rhoBar)) hBar
        HFactor = -thetaNew / rho;                                                  // h = v - (theta / rho) h

        EstimateResidual(cHat, sHat, c, s, thetaBar, zetaOld);
        EstimateNorms(alpha, beta, rhoTemp, rhoBarOld, isFirst);
        NormalResidualNorm = Math.Abs(zetaBar);
    }

    // ||r|| from one more factorisation, of the transposed R (section 3.2 and appendix of the paper).
    private void EstimateResidual(double cHat, double sHat, double c, double s, double thetaBar, double zetaOld)
    {
        double betaAcute = cHat * betaDoubleDot, betaCheck = -sHat * betaDoubleDot;
        double betaHat = c * betaAcute;
        betaDoubleDot = -s * betaAcute;

        double thetaTildeOld = thetaTilde;
        (double cTilde, double sTilde, double rhoTildeOld) = Rotation(rhoDotOld, thetaBar);
        thetaTilde = sTilde * rhoBar;
        rhoDotOld = cTilde * rhoBar;
        betaDot = -sTilde * betaDot + cTilde * betaHat;

        tauTildeOld = (zetaOld - thetaTildeOld * tauTildeOld) / rhoTildeOld;
        double tauDot = (zeta - thetaTilde * tauTildeOld) / rhoDotOld;
        d += betaCheck * betaCheck;
        double gap = betaDot - tauDot;
        ResidualNorm = Math.Sqrt(d + gap * gap + betaDoubleDot * betaDoubleDot);
    }

    private void EstimateNorms(double alpha, double beta, double rhoTemp, double rhoBarOld, bool isFirst)
    {
        normSquared += beta * beta;
        FrobeniusEstimate = Math.Sqrt(normSquared);
        NormBound = Math.Max(NormBound, double.Hypot(double.Hypot(alphaOld, beta), damp));
        alphaOld = alpha;
        normSquared += alpha * alpha;
        if (!isFirst) {                                 // the first rhoBarOld is no pivot
            maxPivot = Math.Max(maxPivot, rhoBarOld);
            minPivot = Math.Min(minPivot, rhoBarOld);
        }
        ConditionEstimate = Math.Max(maxPivot, rhoTemp) / Math.Min(minPivot, rhoTemp);
    }

    /// <summary>c, s, r with c = a/r, s = b/r, r = hypot(a, b); the identity where both are zero.</summary>
    private static (double C, double S, double R) Rotation(double a, double b)
    {
        double r = double.Hypot(a, b);
        return r == 0 ? (1, 0, 0) : (a / r, b / r, r);
    }
}
