namespace LsmrTorch.Tests.RandomSweep;

/// <summary>QR by Householder reflections in double-double arithmetic (Golub and Van Loan 2013, algorithm 5.2.1), of an m × n matrix with m ≥ n.</summary>
internal sealed class Householder
{
    private readonly int m, n;
    private readonly DoubleDouble[,] reflections;       // below and on the diagonal, the vectors v
    private readonly DoubleDouble[] factors, diagonal;  // 2 / vᵀv, and R's diagonal; the rest of R lies above the diagonal

    public Householder(DoubleDouble[,] A)
    {
        (m, n) = (A.GetLength(0), A.GetLength(1));
        if (m < n)
            throw new ArgumentException($"A must have at least as many rows as columns, but is {m} × {n}.");
        reflections = (DoubleDouble[,])A.Clone();
        (factors, diagonal) = (new DoubleDouble[n], new DoubleDouble[n]);
        for (int k = 0; k < n; k++) {
            DoubleDouble squares = 0;
            for (int i = k; i < m; i++)
                squares += reflections[i, k] * reflections[i, k];
            DoubleDouble norm = DoubleDouble.Sqrt(squares), head = reflections[k, k];
            if (head.High > 0)
                norm = -norm;
            diagonal[k] = norm;
            reflections[k, k] = head - norm;
            DoubleDouble size = squares - head * head + reflections[k, k] * reflections[k, k];
            factors[k] = size.High == 0 ? 0 : (DoubleDouble)2 / size;
            for (int j = k + 1; j < n; j++) {
                DoubleDouble sum = 0;
                for (int i = k; i < m; i++)
                    sum += reflections[i, k] * reflections[i, j];
                sum *= factors[k];
                for (int i = k; i < m; i++)
                    reflections[i, j] -= sum * reflections[i, k];
            }
        }
    }

    /// <summary>argmin ‖A x − b‖.</summary>
    public DoubleDouble[] LeastSquares(DoubleDouble[] b)
    {
        DoubleDouble[] y = (DoubleDouble[])b.Clone();
        for (int k = 0; k < n; k++)
            Reflect(k, y);
        var x = new DoubleDouble[n];
        for (int k = n - 1; k >= 0; k--) {
            DoubleDouble sum = y[k];
            for (int j = k + 1; j < n; j++)
                sum -= reflections[k, j] * x[j];
            x[k] = sum / diagonal[k];
        }
        return x;
    }

    /// <summary>The y of least norm with Aᵀy = c.</summary>
    public DoubleDouble[] MinimumNorm(DoubleDouble[] c)
    {
        var y = new DoubleDouble[m];
        for (int k = 0; k < n; k++) {
            DoubleDouble sum = c[k];
            for (int j = 0; j < k; j++)
                sum -= reflections[j, k] * y[j];
            y[k] = sum / diagonal[k];
        }
        for (int k = n - 1; k >= 0; k--)
            Reflect(k, y);
        return y;
    }

    private void Reflect(int k, DoubleDouble[] y)
    {
        DoubleDouble sum = 0;
        for (int i = k; i < m; i++)
            sum += reflections[i, k] * y[i];
        sum *= factors[k];
        for (int i = k; i < m; i++)
            y[i] -= sum * reflections[i, k];
    }
}
