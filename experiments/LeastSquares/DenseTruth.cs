using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.LeastSquares;

/// <summary>
/// The solution x = x0 + argmin ‖A d − (b − A x0)‖² + λ²‖d‖² and the gradients of ⟨g, x⟩ by the factors of A, float64:
/// with p = A (AᵀA + λ²I)⁻¹ g, s = g − Aᵀp, (AᵀA + λ²I) w = g (λ = 0: w = A⁺p), y = A⁺ᵀd (λ > 0: no such term), d = x − x0,
/// ∂b = p, ∂x0 = s, ∂λ = −2 λ wᵀd, ∂A = r wᵀ − p xᵀ + y sᵀ (Golub and Pereyra 1973 for λ = 0, where A keeps its rank).
/// Each vector is a product of a rotation with its coordinates, so that none is a difference of larger ones.
/// </summary>
internal sealed class DenseTruth
{
    /// <summary>
    /// A reference below this share of what its size could be is compared with that share instead, so that a reference
    /// of zero is tested too: rounding leaves 1e-16 (1e-7) of the natural size there, and a wrong term leaves about all of it.
    /// </summary>
    public const double FloorShare = 1e-3;

    private readonly Tensor _r, _w, _y;
    private readonly double _norm, _damp, _gNorm, _startNorm, _rhsNorm;

    /// <summary>Solves; singular values from <paramref name="rank"/> on count as zero where λ = 0.</summary>
    public DenseTruth(Factors factors, int rank, double damp, Tensor b, Tensor x0, Tensor g)
    {
        int m = factors.Rows, n = factors.Columns;
        double[] beta = Coordinates(factors.U, b), gamma = Coordinates(factors.V, g), xi = Coordinates(factors.V, x0);
        double[] r = new double[m], p = new double[m], y = new double[m], d = new double[n], s = new double[n], w = new double[n];
        for (int i = 0; i < Math.Max(m, n); i++) {
            double sigma = i < Math.Min(m, n) ? factors.Sigma[i] : 0;
            bool kept = damp > 0 || i < rank;
            double square = (sigma * sigma) + (damp * damp);
            double filter = kept ? sigma / square : 0;                  // of (AᵀA + λ²I)⁻¹Aᵀ
            double rest = kept ? damp * damp / square : 1;              // 1 − σ filter
            if (i < m) {
                double misfit = beta[i] - (i < n ? sigma * xi[i] : 0);  // of b − A x0
                r[i] = rest * misfit;
                y[i] = damp > 0 ? 0 : filter * filter * misfit;
                p[i] = i < n ? filter * gamma[i] : 0;
                if (i < n) {
                    d[i] = filter * misfit;
                }
            }
            if (i < n) {
                s[i] = rest * gamma[i];
                w[i] = kept ? gamma[i] / square : 0;
            }
        }
        D = factors.V.mv(tensor(d));
        Solution = x0.add(D);
        P = factors.U.mv(tensor(p));
        S = factors.V.mv(tensor(s));
        (_r, _w, _y) = (factors.U.mv(tensor(r)), factors.V.mv(tensor(w)), factors.U.mv(tensor(y)));
        (_norm, _damp) = (factors.Sigma[0] > 0 ? factors.Sigma[0] : 1, damp);
        (_gNorm, _startNorm, _rhsNorm) = (Norm(g), Norm(x0), Norm(b));
    }

    /// <summary>x.</summary>
    public Tensor Solution { get; }

    /// <summary>d = x − x0.</summary>
    public Tensor D { get; }

    /// <summary>∂b.</summary>
    public Tensor P { get; }

    /// <summary>∂x0.</summary>
    public Tensor S { get; }

    /// <summary>∂A.</summary>
    public Tensor MatrixGradient => _r.outer(_w).sub(P.outer(Solution)).add(_y.outer(S));

    /// <summary>∂λ.</summary>
    public double DampGradient => -2 * _damp * _w.dot(D).item<double>();

    public double SolutionFloor => FloorShare * (_startNorm + (_rhsNorm / _norm));

    public double RhsFloor => FloorShare * _gNorm / _norm;

    public double StartFloor => FloorShare * _gNorm;

    /// <summary>For the gradients to A and to what A is made of, whose derivative by that is about one.</summary>
    public double MatrixFloor => FloorShare * ((Norm(_r) * Norm(_w)) + (Norm(P) * Norm(Solution)) + (Norm(_y) * Norm(S)));

    /// <summary>
    /// ∂λ is one inner product, whose rounding is a share of ‖w‖‖d‖ however small it is itself: this floor is no small share of
    /// that. With λ = 0, where ∂λ is zero, a small share of ‖A‖ stands for λ.
    /// </summary>
    public double DampFloor => 2 * Math.Max(_damp, FloorShare * _norm) * Norm(_w) * Norm(D);

    /// <summary>‖found − expected‖ / max(‖expected‖, floor); 0 where both are zero.</summary>
    public static double Error(Tensor found, Tensor expected, double floor)
    {
        using var scope = NewDisposeScope();
        double difference = Norm(found.detach().cpu().to_type(float64).reshape(expected.shape).sub(expected));
        return difference == 0 ? 0 : difference / Math.Max(Norm(expected), floor);
    }

    /// <summary>The Euclidean norm of all entries.</summary>
    public static double Norm(Tensor x)
    {
        using Tensor norm = x.norm();
        return norm.item<double>();
    }

    private static double[] Coordinates(Tensor rotation, Tensor x) => rotation.t().mv(x).data<double>().ToArray();
}
