using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.RandomSweep;

/// <summary>
/// A random least-squares problem of a seed: every shape from 0 × 0 to 40 × 40, rank, scale, grading of rows and columns,
/// damping, start and kind of operator, with its solution in 32 digits. The same for the same seed everywhere.
/// </summary>
internal sealed class RandomProblem
{
    private readonly Random random;
    private readonly PseudoInverse inverse;         // of [A; λI], in units of 2^ScaleOfA

    public RandomProblem(int seed, bool isMild = false)
    {
        Seed = seed;
        random = new Random(seed);
        bool isSingle = random.Next(2) == 0;
        Dtype = isSingle ? float32 : float64;
        (M, N, Count) = (Size(), Size(), isMild ? 1 : random.Next(4) == 0 ? 3 : 1);
        if (isMild)
            (M, N) = (Math.Max(1, M), Math.Max(1, N));
        int least = Math.Min(M, N);
        IsDeficient = random.Next(4) == 0 && least > 1;
        IsConsistent = random.Next(3) == 0;
        bool isEquilibrated = isMild || random.Next(2) == 0;
        double decades = isEquilibrated ? 0 : random.NextDouble() * (isSingle ? 4 : 9);
        (double[] rows, double[] columns) = (Grading(M, random.Next(2) * decades), Grading(N, random.Next(2) * decades));
        double[,] B, C;
        if (IsDeficient) {
            int rank = random.Next(1, least);
            (B, C) = (Integers(M, rank), Integers(rank, N));
        } else {
            (B, C) = (Spectrum(Math.Pow(10, random.NextDouble() * (isSingle ? 3 : 7))), Identity(N));
        }
        double relative = random.Next(2) == 0 ? 0 : Math.Pow(10, -random.NextDouble() * (isSingle ? 3 : 6));
        (B, C) = (Scaled(B, rows, 0), Scaled(C, columns, 1));
        A = Product(B, C);
        double size = Norm(A);
        Damp = (float)(relative * size);
        (int most, int over) = isSingle ? (120, 100) : (990, 900);
        int scale = isMild ? 0 : random.Next(3) == 0 ? random.Next(-most, most + 1) : random.Next(-5, 6);
        int room = over - (int)Math.Abs(Math.Log2(Math.Max(size, 1))) - 8;
        ScaleOfA = Math.Clamp(scale, -room, room);
        b = Matrix(M, Count, (_, _) => Normal());
        if (IsConsistent) {
            double[,] x = Matrix(N, Count, (_, _) => Normal());
            b = Rounded(Product(A, x));
        }
        int ofX = isMild ? 0 : random.Next(3) == 0 ? random.Next(-most, most + 1) : random.Next(-5, 6);
        ScaleOfB = Math.Clamp(ofX, Math.Max(-over, ScaleOfA - over), Math.Min(over, ScaleOfA + over));
        if (random.Next(3) == 0) {
            double large = Norm(A) == 0 ? 1 : Norm(b) / Norm(A) * Math.Pow(10, random.NextDouble() * (isSingle ? 4 : 8));
            Start = Rounded(Matrix(N, Count, (_, _) => large * Normal()));
        }
        inverse = Damp > 0 ? new PseudoInverse(Stacked()) : IsDeficient ? new PseudoInverse(B, C) : new PseudoInverse(A);
        (OperatorKind, PreconditionerKind) = ((Kind)random.Next(4), random.Next(3));
    }

    /// <summary>How the operator is given.</summary>
    public enum Kind { Rows, Columns, Csr, Closure }

    public int Seed { get; }
    public int M { get; }
    public int N { get; }
    public int Count { get; }
    public ScalarType Dtype { get; }
    public bool IsDeficient { get; }
    public bool IsConsistent { get; }
    public int ScaleOfA { get; }
    public int ScaleOfB { get; }
    public double Damp { get; }
    public Kind OperatorKind { get; }

    /// <summary>0 none, 1 column scaling, 2 a sketch; where the problem allows one.</summary>
    public int PreconditionerKind { get; }

    /// <summary>The numbers of the problem before the scales, exact in the dtype.</summary>
    public double[,] A { get; }

    private readonly double[,] b;

    /// <summary>x0 before the scales, if there is one.</summary>
    public double[,]? Start { get; }

    /// <summary>2^ScaleOfA A, as a tensor of the dtype.</summary>
    public Tensor Matrix() => Tensor(A, ScaleOfA);

    public Tensor RightHandSide() => Shaped(Tensor(b, ScaleOfB));

    public Tensor? StartTensor() => Start is null ? null : Shaped(Tensor(Start, ScaleOfB - ScaleOfA));

    public double ScaledDamp => Math.ScaleB(Damp, ScaleOfA);

    /// <summary>x in units of 2^(ScaleOfB − ScaleOfA), an array a column.</summary>
    public double[][] Solutions() => [.. Enumerable.Range(0, Count).Select(j => {
        DoubleDouble[] x0 = [.. Enumerable.Range(0, N).Select(k => (DoubleDouble)(Start?[k, j] ?? 0))], r = new DoubleDouble[M];
        for (int i = 0; i < M; i++) {
            r[i] = b[i, j];
            for (int k = 0; k < N; k++)
                r[i] -= (DoubleDouble)A[i, k] * x0[k];
        }
        DoubleDouble[] d = Solve(r);
        return d.Select((value, k) => (double)(value + x0[k])).ToArray();
    })];

    /// <summary>[A; λI]⁺[f; 0].</summary>
    public DoubleDouble[] Solve(DoubleDouble[] f) => N == 0 || M + (Damp > 0 ? N : 0) == 0 ? new DoubleDouble[N]
        : inverse.Times(Damp > 0 ? [.. f, .. new DoubleDouble[N]] : f);

    /// <summary>[A; λI]⁺ᵀg.</summary>
    public DoubleDouble[] SolveTransposed(DoubleDouble[] g) => inverse.TransposeTimes(g);

    /// <summary>[A; λI]⁺f, for f with a row more for each of λI.</summary>
    public DoubleDouble[] SolveStacked(DoubleDouble[] f) => inverse.Times(f);

    public override string ToString() =>
        $"seed {Seed}: {M} x {N}, {Count} columns, {Dtype}, {OperatorKind}, {(IsDeficient ? "deficient" : "full")} rank, {(IsConsistent ? "consistent" : "inconsistent")}, "
        + $"damp {Damp:E1}, scales 2^{ScaleOfA} and 2^{ScaleOfB}, start {(Start is null ? "none" : "yes")}, preconditioner {PreconditionerKind}";

    private int Size() => random.Next(20) == 0 ? random.Next(0, 3) : random.Next(1, 41);

    private double[,] Stacked() => Matrix(M + N, N, (i, j) => i < M ? A[i, j] : i - M == j ? Damp : 0);

    // Singular values from 1 down to 1 / cond in a geometric series, by reflections of random directions.
    private double[,] Spectrum(double cond)
    {
        int least = Math.Max(1, Math.Min(M, N) - 1);
        double[,] result = Matrix(M, N, (i, j) => i == j ? Math.Pow(cond, -(double)i / least) : 0);
        for (int k = 0; k < 3; k++) {
            Reflect(result, Direction(M), 0);
            Reflect(result, Direction(N), 1);
        }
        return Rounded(result);
    }

    private static void Reflect(double[,] A, double[] v, int side)
    {
        (int m, int n) = (A.GetLength(0), A.GetLength(1));
        for (int line = 0; line < (side == 0 ? n : m); line++) {
            double sum = 0;
            for (int i = 0; i < v.Length; i++)
                sum += v[i] * (side == 0 ? A[i, line] : A[line, i]);
            for (int i = 0; i < v.Length; i++) {
                if (side == 0)
                    A[i, line] -= 2 * sum * v[i];
                else
                    A[line, i] -= 2 * sum * v[i];
            }
        }
    }

    private double[] Direction(int n)
    {
        double[] v = [.. Enumerable.Range(0, n).Select(_ => Normal())];
        double norm = Math.Sqrt(v.Sum(x => x * x));
        return [.. v.Select(x => x / norm)];
    }

    // Small integers in front of and after an exact product: its rank is exact too.
    private double[,] Integers(int m, int n)
    {
        double[,] result = Matrix(m, n, (_, _) => random.Next(-3, 4));
        for (int k = 0; k < Math.Min(m, n); k++)
            result[k, k] += 8;
        return result;
    }

    private double[] Grading(int n, double decades) =>
        [.. Enumerable.Range(0, n).Select(_ => Math.ScaleB(1, (int)Math.Round((random.NextDouble() - 0.5) * decades * Math.Log2(10))))];

    private static double[,] Scaled(double[,] A, double[] by, int side) =>
        Matrix(A.GetLength(0), A.GetLength(1), (i, j) => A[i, j] * by[side == 0 ? i : j]);

    private double[,] Rounded(double[,] A) =>
        Dtype == ScalarType.Float64 ? A : Matrix(A.GetLength(0), A.GetLength(1), (i, j) => (float)A[i, j]);

    private static double[,] Identity(int n) => Matrix(n, n, (i, j) => i == j ? 1 : 0);

    private static double[,] Product(double[,] A, double[,] B)
    {
        int inner = A.GetLength(1);
        return Matrix(A.GetLength(0), B.GetLength(1), (i, j) => {
            double sum = 0;
            for (int k = 0; k < inner; k++)
                sum += A[i, k] * B[k, j];
            return sum;
        });
    }

    private static double[,] Matrix(int m, int n, Func<int, int, double> entry)
    {
        var result = new double[m, n];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++)
                result[i, j] = entry(i, j);
        }
        return result;
    }

    private static double Norm(double[,] A) => Math.Sqrt(A.Cast<double>().Sum(x => x * x));

    private double Normal()
    {
        double value = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return Dtype == ScalarType.Float32 ? (float)value : value;
    }

    private Tensor Tensor(double[,] values, int exponent)
    {
        (int m, int n) = (values.GetLength(0), values.GetLength(1));
        double[] flat = [.. values.Cast<double>().Select(x => Math.ScaleB(x, exponent))];
        return tensor(flat, float64).reshape(m, n).to(Dtype);
    }

    private Tensor Shaped(Tensor x) => Count == 1 ? x.squeeze(1) : x;
}
