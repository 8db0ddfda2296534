using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The correction of <see cref="SmallProblem"/> by singular values of M = [A; λI], for any rank, grading and condition; what
/// round-off hides is |M⁺|(|b| + |A||x|) eps by that of r, and |M⁺||M⁺ᵀ||Mᵀ||r| eps by that of M⁺ (Higham 2002, section 20.1).
/// </summary>
internal sealed class SmallSingular
{
    private readonly Tensor entries;        // of A, in units of ofA
    private readonly Tensor absolute;       // |M|
    private readonly Tensor? inverse;       // M⁺
    private readonly Tensor? rowSpace;      // an orthonormal basis of M's row space as rows, where that is not all
    private readonly double eps, ofA, lambda;

    /// <param name="A">A's entries, float64.</param>
    /// <param name="damp">λ.</param>
    /// <param name="eps">Of the dtype that was solved in.</param>
    public SmallSingular(Tensor A, double damp, double eps)
    {
        this.eps = eps;
        ofA = Unit(Math.Max(Largest(A), damp));
        (entries, lambda) = (Divided(A, ofA), damp / ofA);
        Tensor M = entries;
        if (lambda > 0) {
            Tensor identity = eye(A.shape[1], dtype: float64, device: A.device);
            Vectors.Scale(identity, lambda);
            M = cat([M, identity]);
        }
        absolute = M.abs();
        (inverse, rowSpace) = PseudoInverse(M, eps);
        HasFullColumnRank = inverse is not null && rowSpace is null;
    }

    /// <summary>Whether [A; λI] has independent columns, to the precision of the dtype.</summary>
    public bool HasFullColumnRank { get; }

    /// <summary>What the correction of an x is.</summary>
    /// <param name="Errors">‖δ‖ / ‖x‖ of each column, with what round-off hides; infinite where A is too ill-conditioned to tell.</param>
    /// <param name="Image">A δ, of m rows, relative to the largest of |b| and |A||x| (so that it is in range); null as said.</param>
    /// <param name="Scale">That largest number.</param>
    public readonly record struct Correction(double[] Errors, Tensor? Image, double Scale);

    /// <summary>The correction of x, of the operator's InputShape (and columns), for b and the start x0 that decides the answer.</summary>
    public Correction Correct(Tensor b, Tensor x, Tensor? x0)
    {
        (long m, long n) = (entries.shape[0], entries.shape[1]);
        Tensor right = b.to(float64).reshape(m, -1), solution = x.to(float64).reshape(n, -1);
        Tensor d = x0 is null ? solution : solution.sub(x0.to(float64).reshape(n, -1));
        double ofX = Unit(Math.Max(Largest(solution), Largest(right) / ofA));          // in it, b / A and x are near 1
        (right, solution, d) = (Divided(Divided(right, ofA), ofX), Divided(solution, ofX), Divided(d, ofX));
        Tensor r = right.sub(entries.mm(solution)), weights = Vectors.Sum(right.abs(), entries.abs().mm(solution.abs()));
        if (lambda > 0) {
            Tensor pull = d.clone();
            Vectors.Scale(pull, -lambda);
            r = cat([r, pull]);
            weights = cat([weights, pull.abs()]);
        }
        int count = (int)solution.shape[1];
        double[] sizes = [.. Vectors.Norms(solution, count).Zip(SolveAudit.StartFloors(x0, count, x.dtype), (size, floor) => Math.Max(size, floor / ofX))];
        double scale = Largest(weights) is > 0 and double most ? most : 1;
        if (inverse is null)
            return new([.. sizes.Select(size => size == 0 && Largest(r) == 0 ? 0 : double.PositiveInfinity)], null, scale * ofA * ofX);
        // M⁺r by way of Mᵀr: of the part of r that is orthogonal to M, the round-off of M⁺ would make a multiple of cond(M)².
        Tensor delta = inverse.mm(inverse.t().mm(Gradient(r))), image = entries.mm(delta);
        if (rowSpace is not null)           // and what of x − x0 A does not see, which is none of a solution of least norm
            delta = delta.sub(d.sub(rowSpace.t().mm(rowSpace.mm(d))));
        double[] errors = Vectors.Norms(delta, sizes.Length), hidden = Vectors.Norms(Hidden(inverse.abs(), weights, r.abs()), sizes.Length);
        double[] relative = [.. sizes.Select((size, j) => {
            double error = errors[j] + 4 * Vectors.Epsilon(ScalarType.Float64) * hidden[j];
            return error == 0 ? 0 : double.IsNaN(error) ? double.PositiveInfinity : error / size + eps;
        })];
        return new(relative, Divided(image, scale), scale * ofA * ofX);
    }

    // Mᵀr = Aᵀr₁ + λ r₂
    private Tensor Gradient(Tensor r)
    {
        (long m, long n) = (entries.shape[0], entries.shape[1]);
        Tensor gradient = entries.t().mm(r.narrow(0, 0, m));
        if (lambda > 0)
            Vectors.AddScaled(gradient, lambda, r.narrow(0, m, n));
        return gradient;
    }

    private Tensor Hidden(Tensor inverse, Tensor weights, Tensor r) =>
        inverse.mm(Vectors.Sum(weights, inverse.t().mm(absolute.t().mm(r))));

    // M⁺ by singular values. Columns of norm 1 first (rows, if those are fewer): of all scalings about the best, and where they are
    // independent the inverse is the same. Otherwise singular values that are round-off are those of a null space, if every row of
    // M, small ones too, maps its vectors to round-off; if one does not, M is too ill-conditioned to tell, and there is no answer.
    private static (Tensor? Inverse, Tensor? RowSpace) PseudoInverse(Tensor M, double eps)
    {
        (long m, long n) = (M.shape[0], M.shape[1]);
        bool isWide = m < n;
        using Scalar one = 1.0;
        Tensor tall = isWide ? M.t() : M, norms = EntryNorms.Of(tall).Columns;
        Tensor scales = norms.masked_fill(norms.eq(zeros_like(norms)), one);
        double tolerance = 4 * Math.Sqrt(Math.Max(m, n)) * eps;
        if (Factors(tall.div(scales), tolerance) is { } scaled && scaled.S.numel() == Math.Min(m, n)) {
            Tensor inverse = Inverse(scaled).div(scales.unsqueeze(1));
            return isWide ? (inverse.t(), scaled.U.t()) : (inverse, null);
        }
        return Factors(M, tolerance) is { } plain ? (Inverse(plain), plain.Vh) : (null, null);
    }

    private static Tensor Inverse((Tensor U, Tensor S, Tensor Vh) factors) =>
        factors.Vh.t().mm(factors.U.t().div(factors.S.unsqueeze(1)));

    // The singular values that are not round-off, and their vectors.
    private static (Tensor U, Tensor S, Tensor Vh)? Factors(Tensor M, double tolerance)
    {
        (Tensor U, Tensor S, Tensor Vh) = linalg.svd(M, fullMatrices: false);
        double[] values = Vectors.ReadAll(S);
        long rank = values.Count(value => value > tolerance * values[0]);
        if (rank < values.Length) {
            Tensor missed = M.mm(Vh.narrow(0, rank, values.Length - rank).t()).norm(1);
            using Scalar allowed = 4 * tolerance;
            if (missed.gt(EntryNorms.Of(M).Rows.mul(allowed)).any().item<bool>())
                return null;
        }
        return (U.narrow(1, 0, rank), S.narrow(0, 0, rank), Vh.narrow(0, 0, rank));
    }

    private static double Largest(Tensor x) => x.numel() == 0 ? 0 : Vectors.Read(x.abs().max());

    private static double Unit(double x) => x > 0 && double.IsFinite(x) ? EntryNorms.Unit(x) : 1;

    private static Tensor Divided(Tensor x, double unit)
    {
        Tensor scaled = x.clone();
        Vectors.Divide(scaled, unit);
        return scaled;
    }
}
