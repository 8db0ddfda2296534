using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Bounds of the errors of a gradient from residuals, recomputed truly. With the backward one ρ = ‖g − Aᵀ(A w) − λ²w‖, what p drifted
/// off A w, δ = ‖p − A w‖, and the forward one ν = ‖Aᵀr − λ²d‖, since ‖(AᵀA + λ²I)⁻¹‖ ≤ 1/λ² and ‖A (AᵀA + λ²I)⁻¹‖ ≤ 1/(2λ):
/// <code>
///   ‖δw‖ ≤ ρ/λ²     ‖δp‖ ≤ ρ/(2λ) + δ     ‖δx‖ ≤ ν/λ²     ‖δr‖ ≤ ν/(2λ)
///   ‖δ ∂A‖ ≤ ‖r‖‖δw‖ + ‖w‖‖δr‖ + ‖p‖‖δx‖ + ‖x‖‖δp‖ (+ ‖y‖‖δs‖ + ‖s‖‖δy‖)
/// </code>
/// Undamped, σ², σ for an estimate σ of the smallest singular value stand for λ², 2λ, and the last terms come in.
/// Each residual is raised by the round-off of its own computation.
/// </summary>
internal sealed class GradientErrors
{
    private const double Roundoff = 4;      // of eps times the sizes that are subtracted, for a residual's own computation

    private readonly LinearOperator A;
    private readonly double damp, norm, square, twice, unit;

    /// <param name="A">Prepared for products.</param>
    /// <param name="damp">λ.</param>
    /// <param name="norm">About ‖A‖₂.</param>
    /// <param name="smallest">About A's smallest singular value (not zero), used where λ = 0.</param>
    public GradientErrors(LinearOperator A, double damp, double norm, double smallest)
    {
        (this.A, this.damp, this.norm) = (A, damp, norm);
        (square, twice) = damp > 0 ? (damp * damp, 2 * damp) : (smallest * smallest, smallest);
        unit = Roundoff * Vectors.Epsilon(A.dtype);
    }

    /// <summary>The errors of what the backward solve gave, and the residual ρ with its norm, a number a column.</summary>
    public sealed record Backward(Tensor Residual, double[] Norms, double[] OfW, double[] OfP)
    {
        public double[] OfS { get; init; } = [];
        public double[] OfY { get; init; } = [];

        /// <summary>Whether ⟨A w, A w⟩ = ⟨w, Aᵀ(A w)⟩, to the tolerance or round-off: if not, the transpose is none.</summary>
        public bool TransposeHolds { get; init; } = true;
    }

    /// <summary>Of p and w from one run to a relative tolerance: (AᵀA + λ²I) w = g, p = A w.</summary>
    public Backward OfOneRun(Tensor g, Tensor p, Tensor w, double tolerance)
    {
        int k = Count(g);
        Tensor Aw = Augmented.Product(A, w);
        Tensor AtAw = Augmented.TransposedProduct(A, Aw), residual = g.sub(AtAw);
        Vectors.AddScaled(residual, -damp * damp, w);
        double[] wNorms = Vectors.Norms(w, k), AwNorms = Vectors.Norms(Aw, k), drifts = Vectors.Norms(p.sub(Aw), k), gNorms = Vectors.Norms(g, k);
        double[] norms = Vectors.Norms(residual, k), mismatches = Augmented.Mismatch(w, Aw, Aw, AtAw, AwNorms);
        double allowed = Math.Max(4 * tolerance, SolveAudit.RoundoffAllowance * Vectors.Epsilon(A.dtype)) * norm;
        double[] rho = Each(k, j => norms[j] + unit * (gNorms[j] + norm * AwNorms[j] + norm * norm * wNorms[j] + damp * damp * wNorms[j]));
        return new Backward(residual, norms, Each(k, j => Over(rho[j], square)), Each(k, j => Over(rho[j], twice) + drifts[j] + unit * norm * wNorms[j])) {
            OfS = rho,
            OfY = new double[k],
            TransposeHolds = mismatches.Zip(wNorms).All(pair => pair.First <= allowed * pair.Second),
        };
    }

    /// <summary>Undamped, of p = A⁺ᵀg with s = g − Aᵀp, w = A⁺p and y = A⁺ᵀd, each by a run of its own, if it was needed.</summary>
    public Backward OfSeparateRuns(Tensor g, Tensor p, Tensor s, Tensor? w, Tensor? y, Tensor? d)
    {
        int k = Count(g);
        Tensor As = Augmented.Product(A, s);
        double[] gNorms = Vectors.Norms(g, k), pNorms = Vectors.Norms(p, k), norms = Vectors.Norms(As, k);
        double[] ofP = Each(k, j => Over(norms[j] + unit * norm * (gNorms[j] + norm * pNorms[j]), square));
        double[] ofW = new double[k], ofY = new double[k];
        if (w is not null) {
            double[] misfit = Vectors.Norms(Augmented.TransposedProduct(A, p.sub(Augmented.Product(A, w))), k), wNorms = Vectors.Norms(w, k);
            ofW = Each(k, j => Over(ofP[j], twice) + Over(misfit[j] + unit * norm * (pNorms[j] + norm * wNorms[j]), square));
        }
        if (y is not null && d is not null) {
            double[] misfit = Vectors.Norms(Augmented.Product(A, d.sub(Augmented.TransposedProduct(A, y))), k), yNorms = Vectors.Norms(y, k);
            ofY = Each(k, j => Over(misfit[j] + unit * norm * norm * yNorms[j], square));
        }
        return new Backward(As, norms, ofW, ofP) { OfS = Each(k, j => norm * ofP[j]), OfY = ofY };
    }

    /// <summary>‖δx‖ and ‖δr‖ of the forward solution.</summary>
    public (double[] OfX, double[] OfR) OfForward(Tensor x, Tensor d, Tensor r)
    {
        int k = Count(x);
        Tensor normal = Augmented.TransposedProduct(A, r);
        Vectors.AddScaled(normal, -damp * damp, d);
        double[] norms = Vectors.Norms(normal, k), xNorms = Vectors.Norms(x, k), rNorms = Vectors.Norms(r, k), dNorms = Vectors.Norms(d, k);
        double[] nu = Each(k, j => norms[j] + unit * (norm * (rNorms[j] + norm * xNorms[j]) + damp * damp * dNorms[j]));
        return (Each(k, j => Over(nu[j], square)), Each(k, j => Over(nu[j], twice) + unit * (norm * xNorms[j] + rNorms[j])));
    }

    /// <summary>‖L Rᵀ‖ in the Frobenius norm, L and R with the same columns, without forming it: the sum over (LᵀL) ∘ (RᵀR).</summary>
    public static double NormOfProduct(Tensor L, Tensor R)
    {
        Tensor left = L.to(float64), right = R.to(float64);
        Tensor sum = left.t().mm(left).mul(right.t().mm(right)).sum();
        return Math.Sqrt(Math.Max(0, Vectors.Read(sum)));
    }

    private int Count(Tensor inputLike) => inputLike.dim() > A.InputShape.Count ? (int)inputLike.shape[^1] : 1;

    private static double[] Each(int count, Func<int, double> value) => [.. Enumerable.Range(0, count).Select(value)];

    private static double Over(double a, double b) => a == 0 ? 0 : a / b;
}
