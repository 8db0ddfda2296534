using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.LeastSquares;

/// <summary>A = U Σ Vᵀ with U (m × m) and V (n × n) orthogonal and min(m, n) singular values, falling; float64 on the CPU.</summary>
internal sealed record Factors(Tensor U, double[] Sigma, Tensor V)
{
    public int Rows => (int)U.shape[0];

    public int Columns => (int)V.shape[0];

    /// <summary>The factors of a dense matrix by LAPACK; they belong to the caller's scope.</summary>
    public static Factors Of(Tensor matrix)
    {
        (Tensor u, Tensor sigma, Tensor vt) = linalg.svd(matrix, fullMatrices: true);
        return new Factors(u, sigma.data<double>().ToArray(), vt.t());
    }

    /// <summary>A random matrix with these singular values, rounded to a type.</summary>
    public static Tensor Matrix(int rows, int columns, double[] sigma, Generator generator, ScalarType dtype)
    {
        Tensor u = linalg.qr(randn(rows, sigma.Length, float64, generator: generator)).Q;
        Tensor v = linalg.qr(randn(columns, sigma.Length, float64, generator: generator)).Q;
        return u.mul(tensor(sigma)).mm(v.t()).to_type(dtype);
    }

    /// <summary>Singular values from 1 down to 1/cond, evenly on a logarithmic scale.</summary>
    public static double[] Geometric(int count, double cond) =>
        [.. Enumerable.Range(0, count).Select(i => count > 1 ? Math.Pow(cond, -(double)i / (count - 1)) : 1)];
}
