namespace LsmrTorch;

/// <summary>
/// The correction of <see cref="SmallProblem"/> by normal equations in plain loops, for problems that allow it, which takes a tenth
/// of the time of singular values: with C = M D⁻¹, D the norms of M's columns, G = CᵀC = L Lᵀ and δ = D⁻¹G⁻¹Cᵀr, to
/// about eps cond(G) of δ. An undamped M with fewer rows than columns stands by its rows, δ = Cᵀ G⁻¹ D⁻¹r.
/// </summary>
internal sealed class SmallGram
{
    private const double WorstCondition = 1e10;     // of G: δ then has six digits
    private const double MostGraded = 1e-3;         // the smallest row beside the largest; see SmallProblem for others

    private readonly double[] A;                    // row-major
    private readonly int m, n, order;               // order of G
    private readonly double lambda;
    private readonly bool isWide;
    private readonly double[] scales, inverse;      // D and G⁻¹

    private SmallGram(double[] A, int m, int n, double lambda, bool isWide, double[] scales, double[] inverse)
    {
        (this.A, this.m, this.n, this.lambda, this.isWide, this.scales, this.inverse) = (A, m, n, lambda, isWide, scales, inverse);
        order = scales.Length;
    }

    /// <summary>Whether M has independent columns.</summary>
    public bool HasFullColumnRank => !isWide;

    /// <summary>The problem of A, m × n and row-major with entries near 1, and λ; null where rows differ much or G is ill-conditioned.</summary>
    public static SmallGram? Of(double[] A, int m, int n, double lambda)
    {
        bool isWide = lambda == 0 && m < n;
        int order = isWide ? m : n, length = isWide ? n : m;
        double[] rows = new double[m], scales = new double[order];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++)
                rows[i] += A[i * n + j] * A[i * n + j];
        }
        if (rows.Length == 0 || !(rows.Min() >= MostGraded * MostGraded * rows.Max()) || rows.Max() == 0)
            return null;
        double Entry(int k, int along) => isWide ? A[k * n + along] : A[along * n + k];
        for (int k = 0; k < order; k++) {
            double sum = lambda * lambda;
            for (int i = 0; i < length; i++)
                sum += Entry(k, i) * Entry(k, i);
            scales[k] = Math.Sqrt(sum);
            if (!(scales[k] > 1e-100))
                return null;
        }
        double[] gram = new double[order * order];
        for (int k = 0; k < order; k++) {
            for (int l = 0; l <= k; l++) {
                double sum = k == l ? lambda * lambda : 0;
                for (int i = 0; i < length; i++)
                    sum += Entry(k, i) * Entry(l, i);
                gram[k * order + l] = sum / scales[k] / scales[l];
            }
        }
        return Inverse(gram, order) is { } inverse ? new SmallGram(A, m, n, lambda, isWide, scales, inverse) : null;
    }

    // G⁻¹ = L⁻ᵀL⁻¹ by Cholesky, of a matrix with ones on the diagonal; null if its condition is over the limit.
    private static double[]? Inverse(double[] G, int n)
    {
        double[] L = new double[n * n], K = new double[n * n], inverse = new double[n * n];      // K = L⁻¹
        for (int k = 0; k < n; k++) {
            for (int l = 0; l <= k; l++) {
                double sum = G[k * n + l];
                for (int i = 0; i < l; i++)
                    sum -= L[k * n + i] * L[l * n + i];
                if (l < k)
                    L[k * n + l] = sum / L[l * n + l];
                else if (sum > 1 / WorstCondition)
                    L[k * n + k] = Math.Sqrt(sum);
                else
                    return null;
            }
        }
        for (int k = 0; k < n; k++) {
            K[k * n + k] = 1 / L[k * n + k];
            for (int i = k + 1; i < n; i++) {
                double sum = 0;
                for (int l = k; l < i; l++)
                    sum -= L[i * n + l] * K[l * n + k];
                K[i * n + k] = sum / L[i * n + i];
            }
        }
        double squares = 0;
        for (int k = 0; k < n; k++) {
            for (int l = 0; l <= k; l++) {
                double sum = 0;
                for (int i = k; i < n; i++)
                    sum += K[i * n + k] * K[i * n + l];
                inverse[k * n + l] = inverse[l * n + k] = sum;
                squares += sum * sum * (k == l ? 1 : 2);
            }
        }
        return n * Math.Sqrt(squares) < WorstCondition ? inverse : null;
    }

    /// <summary>
    /// ‖δ‖ with what round-off hides of it, for one right-hand side b, x and d = x − x0, in units in which they are near 1.
    /// </summary>
    public double Error(double[] b, double[] x, double[] d)
    {
        const double Eps = 4 * 2.220446049250313e-16;
        double[] r = new double[m], sizes = new double[m], image = new double[order], magnitudes = new double[order];
        double weights = 0;
        for (int i = 0; i < m; i++) {
            double product = 0, size = 0;
            for (int j = 0; j < n; j++) {
                product += A[i * n + j] * x[j];
                size += Math.Abs(A[i * n + j] * x[j]);
            }
            r[i] = b[i] - product;
            sizes[i] = size + Math.Abs(b[i]);
            weights += sizes[i] * sizes[i];
        }
        double error = 0;
        if (isWide) {
            // δ = Aᵀ(A Aᵀ)⁻¹r, and what of d is not in A's row space: twice, since the first time leaves eps cond(G) of the rest.
            double[] correction = Image(r), outside = (double[])d.Clone();
            for (int pass = 0; pass < 2; pass++) {
                double[] inside = Image(Times(outside));
                for (int j = 0; j < n; j++)
                    outside[j] -= inside[j];
            }
            double hidden = 0;
            for (int i = 0; i < m; i++)
                hidden += Math.Sqrt(inverse[i * order + i]) / scales[i] * sizes[i];
            for (int j = 0; j < n; j++)
                error += correction[j] * correction[j] + outside[j] * outside[j];
            return Math.Sqrt(error) + Eps * hidden;
        }
        for (int j = 0; j < n; j++) {
            double sum = -lambda * lambda * d[j], size = Math.Abs(sum);
            for (int i = 0; i < m; i++) {
                sum += A[i * n + j] * r[i];
                size += Math.Abs(A[i * n + j] * r[i]);
            }
            (image[j], magnitudes[j]) = (sum / scales[j], size / scales[j]);
        }
        double noise = 0;
        for (int j = 0; j < n; j++) {
            double correction = 0, hidden = Math.Sqrt(inverse[j * order + j] * weights);
            for (int k = 0; k < n; k++) {
                correction += inverse[j * order + k] * image[k];
                hidden += Math.Abs(inverse[j * order + k]) * magnitudes[k];
            }
            error += correction / scales[j] * (correction / scales[j]);
            noise += hidden / scales[j] * (hidden / scales[j]);
        }
        return Math.Sqrt(error) + Eps * Math.Sqrt(noise);
    }

    // Aᵀ(A Aᵀ)⁻¹u
    private double[] Image(double[] u)
    {
        double[] result = new double[n];
        for (int k = 0; k < order; k++) {
            double sum = 0;
            for (int l = 0; l < order; l++)
                sum += inverse[k * order + l] * (u[l] / scales[l]);
            for (int j = 0; j < n; j++)
                result[j] += A[k * n + j] * (sum / scales[k]);
        }
        return result;
    }

    // A x
    private double[] Times(double[] x)
    {
        double[] result = new double[m];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++)
                result[i] += A[i * n + j] * x[j];
        }
        return result;
    }
}
