namespace LsmrTorch;

/// <summary>
/// The numbers of LSMR for one right-hand side (Fong and Saunders 2011, "LSMR: an iterative algorithm for sparse
/// least-squares problems", SIAM J. Sci. Comput. 33(5), section 2.8 and, for the estimates, section 3): two QR factorisations
/// of what Golub–Kahan makes, a column at a time. Names are the paper's, spelled out.
/// </summary>
/// <remarks>
/// Where this departs from SciPy's lsmr: the condition estimate starts from the first pivot and not from a dummy 1, so that
/// scaling A scales nothing else; and all numbers are kept in two units, powers of two, a for those like ‖A‖ and b for
/// those like ‖b‖, so that no product or square of them leaves the range of float64. Powers of two change no digit.
/// </remarks>
internal sealed class LsmrRecurrence
{
    private readonly double fullDamp;
    private double damp;                // in units of a
    private PowerOfTwo a, b;

    // First rotation (folds λ in), second (to upper bidiagonal R), third (R to lower bidiagonal).
    private double alphaBar, rho, rhoBar, cBar, sBar, zeta, zetaBar;

    // For the estimate of ‖r‖.
    private double betaDoubleDot, betaDot, rhoDotOld, tauTildeOld, thetaTilde, d;

    // For the estimates of ‖A‖ and cond(A): squares of the bidiagonal, extremes of the pivots.
    private double alphaOld, normSquared, maxPivot, minPivot;

    private double residual, frobenius, bound;

    public LsmrRecurrence(double damp)
    {
        fullDamp = damp;
    }

    /// <summary>Begins with α₁ and β₁.</summary>
    public void Begin(double alpha, double beta)
    {
        (a, b) = (PowerOfTwo.Near(Math.Max(alpha, fullDamp)), PowerOfTwo.Near(beta));
        (alpha, beta, damp) = (a.In(alpha), b.In(beta), a.In(fullDamp));
        (alphaBar, rho, rhoBar, cBar, sBar, zeta, zetaBar) = (alpha, 1, 1, 1, 0, 0, alpha * beta);
        (betaDoubleDot, betaDot, rhoDotOld, tauTildeOld, thetaTilde, d) = (beta, 0, 1, 0, 0, 0);
        (alphaOld, normSquared, maxPivot, minPivot) = (alpha, alpha * alpha, 0, double.PositiveInfinity);
        (residual, frobenius, bound, ConditionEstimate) = (beta, alpha, 0, 1);
    }

    /// <summary>h̄ ← <c>HBarFactor</c> h̄ + h.</summary>
    public double HBarFactor { get; private set; }

    /// <summary>x ← x + <c>XFactor</c> h̄.</summary>
    public double XFactor { get; private set; }

    /// <summary>h ← <c>HFactor</c> h + v.</summary>
    public double HFactor { get; private set; }

    public double ResidualNorm => b.Of(residual);

    /// <summary>‖Aᵀr − λ²d‖; infinity or zero where the number leaves the range of float64.</summary>
    public double NormalResidualNorm => b.Of(a.Of(Math.Abs(zetaBar)));

    public double FrobeniusEstimate => a.Of(frobenius);

    /// <summary>The largest column of the bidiagonal matrix and λ: at most ‖[A; λI]‖₂, and soon within a factor of two.</summary>
    public double NormBound => a.Of(bound);

    public double ConditionEstimate { get; private set; }

    /// <summary>The same numbers in this recurrence's units, in which products of them stay in range.</summary>
    public ScaledNumbers Scaled => new(residual, Math.Abs(zetaBar), frobenius, bound, damp);

    /// <summary>‖x‖ in units of b / a.</summary>
    public double ScaledSolution(double norm) => b.In(a.Of(norm));

    /// <summary>‖b‖ in units of b.</summary>
    public double ScaledRightHandSide(double norm) => b.In(norm);

    /// <summary>Norms in units of b (of r), a b (of Aᵀr), and a (estimates of ‖A‖, and λ).</summary>
    public readonly record struct ScaledNumbers(
        double ResidualNorm, double NormalResidualNorm, double FrobeniusEstimate, double NormBound, double Damp);

    /// <summary>Takes in the next α and β; <paramref name="isFirst"/> says whether they are the first.</summary>
    public void Step(double alpha, double beta, bool isFirst)
    {
        (alpha, beta) = (a.In(alpha), a.In(beta));
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
        XFactor = a.In(b.Of(zeta / (rho * rhoBar)));                               // x = x + (zeta / (rho rhoBar)) hBar
        HFactor = -thetaNew / rho;                                                  // h = v - (theta / rho) h

        EstimateResidual(cHat, sHat, c, s, thetaBar, zetaOld);
        EstimateNorms(alpha, beta, rhoTemp, rhoBarOld, isFirst);
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
        residual = Math.Sqrt(d + gap * gap + betaDoubleDot * betaDoubleDot);
    }

    private void EstimateNorms(double alpha, double beta, double rhoTemp, double rhoBarOld, bool isFirst)
    {
        normSquared += beta * beta;
        frobenius = Math.Sqrt(normSquared);
        bound = Math.Max(bound, double.Hypot(double.Hypot(alphaOld, beta), damp));
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
