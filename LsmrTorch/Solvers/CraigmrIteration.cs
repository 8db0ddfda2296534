using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// CRAIGMR on the same bidiagonalisation as LSMR (Arioli and Orban 2017, "Iterative solution of symmetric quasi-definite
/// linear systems"; damping folded in as in Estrin, Orban and Saunders 2019, "LNLQ"). Golub–Kahan on A from b gives lower
/// bidiagonal L; one rotation a column folds λ into it, giving L̂ and V̄; a QR factorisation of L̂, another rotation a
/// column, gives the upper bidiagonal R; and y and x follow by short recurrences in the columns of U and V̄ times R⁻¹.
/// </summary>
/// <remarks>
/// Vectors beside x and y: u, e, f and a product (m); v, D and a product (n); with λ > 0 also v̄ and q (n).
/// </remarks>
internal sealed class CraigmrIteration
{
    private readonly GolubKahan bidiagonal;
    private readonly double damp;

    // y-side: e (columns of U L̂⁻ᵀ) and f (its columns times R⁻¹). x-side: v̄ and q (λ folded in), D = V̄ R⁻¹.
    private readonly Tensor e, f, D, vBar;
    private readonly Tensor? q;

    private double damping, alphaHat, rhoBar, zetaBar, theta;
    private double cDamp, sDamp, normSquared;

    public CraigmrIteration(LinearOperator A, Tensor b, double damp)
    {
        this.damp = damp;
        bidiagonal = new GolubKahan(A, Vectors.Copy(b));
        (double alpha, double beta) = (bidiagonal.Alpha, bidiagonal.Beta);
        X = zeros_like(bidiagonal.V);
        Y = zeros_like(bidiagonal.U);
        D = zeros_like(bidiagonal.V);
        f = zeros_like(bidiagonal.U);
        e = bidiagonal.U.clone();
        vBar = damp > 0 ? zeros_like(bidiagonal.V) : bidiagonal.V;
        q = damp > 0 ? zeros_like(bidiagonal.V) : null;
        damping = damp;
        zetaBar = beta;
        normSquared = alpha * alpha;
        FoldDamping(alpha);
        rhoBar = alphaHat;
        if (alphaHat > 0)
            Vectors.Divide(e, alphaHat);                                    // e1 = u1 / alphaHat1
        RightHandSideNorm = beta;
        IsOrthogonal = beta > 0 && alphaHat == 0;
    }

    /// <summary>x, the iterate of InputShape.</summary>
    public Tensor X { get; }

    /// <summary>y, the iterate of OutputShape.</summary>
    public Tensor Y { get; }

    public int Iterations { get; private set; }
    public double RightHandSideNorm { get; }

    /// <summary>‖b − A x − λ²y‖.</summary>
    public double ResidualNorm => Math.Abs(zetaBar);

    /// <summary>‖Aᵀ(b − A x)‖ where λ = 0; infinity where λ > 0, when every b is in range.</summary>
    public double TransposedResidualNorm { get; private set; } = double.PositiveInfinity;

    /// <summary>A growing estimate of ‖A‖.</summary>
    public double NormEstimate => Math.Sqrt(normSquared);

    /// <summary>Aᵀb = 0 with λ = 0: no iteration can begin.</summary>
    public bool IsOrthogonal { get; }

    public bool IsFinite => bidiagonal.IsFinite;

    public void Step()
    {
        Iterations++;
        if (q is not null) {                                                // with the rotation (cDamp, sDamp) of this column
            vBar.copy_(q);
            Vectors.Scale(vBar, sDamp);
            Vectors.AddScaled(vBar, cDamp, bidiagonal.V);                   // vBar = cDamp v + sDamp q
            Vectors.Scale(q, -cDamp);
            Vectors.AddScaled(q, sDamp, bidiagonal.V);                      // q = sDamp v - cDamp q, scaled below
        }
        Vectors.ScaleAdd(D, -theta, vBar);                                  // D = vBar - theta D, divided below
        bidiagonal.Step();
        if (!bidiagonal.IsFinite)
            return;
        (double alpha, double beta) = (bidiagonal.Alpha, bidiagonal.Beta);
        normSquared += alpha * alpha + beta * beta;

        double betaHat = cDamp * beta, ell = sDamp * beta;                  // what the rotation leaves below, and beside
        damping = double.Hypot(damp, ell);
        if (q is not null)
            Vectors.Scale(q, ell / damping);

        double rho = double.Hypot(rhoBar, betaHat);                         // QR
        double c = rhoBar / rho, s = betaHat / rho;
        double zeta = c * zetaBar;
        zetaBar = s * zetaBar;

        Vectors.ScaleAdd(f, -theta, e);
        Vectors.Divide(f, rho);                                             // f = (e - theta f) / rho
        Vectors.AddScaled(Y, zeta, f);                                      // y = y + zeta f
        Vectors.Divide(D, rho);                                             // D = (vBar - theta D) / rho
        Vectors.AddScaled(X, zeta, D);                                      // x = x + zeta D
        if (damp == 0)
            TransposedResidualNorm = Math.Abs(alpha * beta * zeta / rho);

        FoldDamping(alpha);
        theta = s * alphaHat;
        rhoBar = -c * alphaHat;
        if (alphaHat > 0) {
            Vectors.ScaleAdd(e, -betaHat, bidiagonal.U);
            Vectors.Divide(e, alphaHat);                                    // e = (u - betaHat e) / alphaHat
        }
    }

    // (alpha, damping) -> alphaHat
    private void FoldDamping(double alpha)
    {
        alphaHat = double.Hypot(alpha, damping);
        (cDamp, sDamp) = alphaHat == 0 ? (1, 0) : (alpha / alphaHat, damping / alphaHat);
    }
}
