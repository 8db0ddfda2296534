namespace LsmrTorch.Tests.RandomSweep;

/// <summary>
/// A⁺ of a matrix of known rank in double-double arithmetic: of full rank by one QR factorisation, of a product A = B C with
/// independent columns of B and rows of C as C⁺B⁺.
/// </summary>
internal sealed class PseudoInverse
{
    private readonly Householder[] factors;     // of what is tall: A or Aᵀ; or B and Cᵀ
    private readonly bool isTall;

    /// <summary>Of a matrix of full rank.</summary>
    public PseudoInverse(double[,] A)
    {
        isTall = A.GetLength(0) >= A.GetLength(1);
        factors = [new Householder(Exact(A, transpose: !isTall))];
    }

    /// <summary>Of B C.</summary>
    public PseudoInverse(double[,] B, double[,] C)
    {
        factors = [new Householder(Exact(B, transpose: false)), new Householder(Exact(C, transpose: true))];
    }

    /// <summary>A⁺f.</summary>
    public DoubleDouble[] Times(DoubleDouble[] f) =>
        factors.Length == 2 ? factors[1].MinimumNorm(factors[0].LeastSquares(f))
        : isTall ? factors[0].LeastSquares(f)
        : factors[0].MinimumNorm(f);

    /// <summary>A⁺ᵀg.</summary>
    public DoubleDouble[] TransposeTimes(DoubleDouble[] g) =>
        factors.Length == 2 ? factors[0].MinimumNorm(factors[1].LeastSquares(g))
        : isTall ? factors[0].MinimumNorm(g)
        : factors[0].LeastSquares(g);

    private static DoubleDouble[,] Exact(double[,] A, bool transpose)
    {
        (int m, int n) = (A.GetLength(0), A.GetLength(1));
        var exact = transpose ? new DoubleDouble[n, m] : new DoubleDouble[m, n];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                if (transpose)
                    exact[j, i] = A[i, j];
                else
                    exact[i, j] = A[i, j];
            }
        }
        return exact;
    }
}
