using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// LSMR (Fong and Saunders 2011, "LSMR: an iterative algorithm for sparse least-squares problems", SIAM J. Sci. Comput.
/// 33(5), section 2.8 and, for the estimates, section 3): two QR factorisations of what Golub–Kahan makes, a column at
/// a time. Names are the paper's, spelled out.
/// </summary>
/// <remarks>
/// Vectors beside x: u, v, h, h̄ and one product at a time, at most 4n + 2m. Where this departs from SciPy's lsmr: the condition
/// estimate starts from the first pivot and not from a dummy 1, so that scaling A scales nothing else; with x0 and b = 0
/// the answer is still the solution; a step that meets NaN leaves the solution NaN.
/// </remarks>
internal sealed class LsmrIteration
{
    private readonly GolubKahan bidiagonal;
    private readonly double damp;
    private readonly Stopwatch clock = Stopwatch.StartNew();

    // The vectors: x, and the directions h (of the first factorisation) and h̄ (of the second).
    private readonly Tensor x, h, hBar;

    // First rotation (folds λ in), second (to upper bidiagonal R), third (R to lower bidiagonal).
    private double alphaBar, rho = 1, rhoBar = 1, cBar = 1, sBar, zeta, zetaBar;

    // For the estimate of ‖r‖.
    private double betaDoubleDot, betaDot, rhoDotOld = 1, tauTildeOld, thetaTilde, d;

    // For the estimates of ‖A‖ and cond(A): squares of the bidiagonal, extremes of the pivots.
    private double normSquared, maxPivot, minPivot = double.PositiveInfinity;

    public LsmrIteration(LinearOperator A, Tensor b, Tensor? x0, double damp)
    {
        this.damp = damp;
        RightHandSideNorm = Vectors.Norm(b);
        Tensor u = Vectors.Copy(b);
        x = x0 is null ? zeros([.. A.InputShape], A.dtype, A.device) : Vectors.Copy(x0);
        if (x0 is not null) {
            using var scope = NewDisposeScope();
            Vectors.AddScaled(u, -1, A.MatVec(x));
        }
        bidiagonal = new GolubKahan(A, u);
        (double alpha, double beta) = (bidiagonal.Alpha, bidiagonal.Beta);
        h = bidiagonal.V.clone();
        hBar = zeros_like(h);
        alphaBar = alpha;
        zetaBar = alpha * beta;
        betaDoubleDot = beta;
        normSquared = alpha * alpha;
        ResidualNorm = beta;
        NormalResidualNorm = alpha * beta;
        NormEstimate = alpha;
        SolutionNorm = x0 is null ? 0 : Vectors.Norm(x);
    }

    /// <summary>The iterate; owned by the scope in which the iteration was made.</summary>
    public Tensor X => x;

    public int Iterations { get; private set; }
    public double RightHandSideNorm { get; }
    public double ResidualNorm { get; private set; }
    public double NormalResidualNorm { get; private set; }
    public double NormEstimate { get; private set; }
    public double ConditionEstimate { get; private set; } = 1;
    public double SolutionNorm { get; private set; }
    public bool IsFinite => bidiagonal.IsFinite && double.IsFinite(RightHandSideNorm) && double.IsFinite(SolutionNorm);
    public TimeSpan Elapsed => clock.Elapsed;

    public LsmrProgress Progress =>
        new(Iterations, ResidualNorm, NormalResidualNorm, NormEstimate, ConditionEstimate, SolutionNorm, Elapsed);

    public void Step()
    {
        Iterations++;
        bidiagonal.Step();
        if (!bidiagonal.IsFinite)
            return;
        (double alpha, double beta) = (bidiagonal.Alpha, bidiagonal.Beta);

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

        Vectors.ScaleAdd(hBar, -(thetaBar * rho) / (rhoOld * rhoBarOld), h);        // hBar = h - (thetaBar rho / (rhoOld rhoBarOld)) hBar
        Vectors.AddScaled(x, zeta / (rho * rhoBar), hBar);                          // x = x + (zeta / (rho rhoBar)) hBar
        Vectors.ScaleAdd(h, -thetaNew / rho, bidiagonal.V);                         // h = v - (theta / rho) h

        EstimateResidual(cHat, sHat, c, s, thetaBar, zetaOld);
        EstimateNorms(alpha, beta, rhoTemp, rhoBarOld);
        NormalResidualNorm = Math.Abs(zetaBar);
        SolutionNorm = Vectors.Norm(x);
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

    private void EstimateNorms(double alpha, double beta, double rhoTemp, double rhoBarOld)
    {
        normSquared += beta * beta;
        NormEstimate = Math.Sqrt(normSquared);
        normSquared += alpha * alpha;
        if (Iterations > 1) {                           // the first rhoBarOld is no pivot
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
