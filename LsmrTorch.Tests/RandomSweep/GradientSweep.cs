using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.RandomSweep;

/// <summary>What backward passes through random problems show beside gradients in 32 digits, and the sum of many.</summary>
internal sealed class GradientSweep
{
    /// <summary>How far a gradient may be off, in units of the error that its report states; a bound where it is certified.</summary>
    public const double Factor = 10;

    public int Cases { get; private set; }

    /// <summary>With a gradient, and not with an exception that says why there is none.</summary>
    public int Answered { get; private set; }

    public int Certified { get; private set; }

    /// <summary>Further off than the report allows.</summary>
    public int Wrong { get; private set; }

    public double WorstCertified { get; private set; }
    public double WorstEstimated { get; private set; }
    public List<string> Failures { get; } = [];

    /// <summary>The problems of the seeds first to first + count − 1.</summary>
    /// <param name="first">The first seed.</param>
    /// <param name="count">How many.</param>
    /// <param name="spoil">Changes a gradient before it is judged; for a test of the judge.</param>
    public static GradientSweep Run(int first, int count, Func<Tensor, Tensor>? spoil = null)
    {
        var sweep = new GradientSweep();
        for (int seed = first; seed < first + count; seed++)
            sweep.Add(new RandomProblem(seed, isMild: true), spoil ?? (x => x));
        return sweep;
    }

    private void Add(RandomProblem problem, Func<Tensor, Tensor> spoil)
    {
        using var scope = NewDisposeScope();
        Cases++;
        Tensor A = problem.Matrix().requires_grad_(), b = problem.RightHandSide().requires_grad_();
        Tensor damp = tensor(problem.ScaledDamp, float64).to(problem.Dtype).requires_grad_(problem.Damp > 0);
        using var generator = new Generator((ulong)problem.Seed, CPU);
        Tensor g = randn(problem.N, float64, generator: generator).to(problem.Dtype);
        Tensor[] found;
        LsmrResult result;
        try {
            LinearOperator op = problem.OperatorKind == RandomProblem.Kind.Closure
                ? LinearOperator.FromMatVec(v => A.mv(v), [problem.N], problem.Dtype) : LinearOperator.FromMatrix(A);
            result = Lsmr.Solve(op, b, new LsmrOptions { Damp = damp, Start = problem.StartTensor() });
            Tensor loss = result.Solution.dot(g);
            found = Gradient.Of(loss, problem.Damp > 0 ? [b, A, damp] : [b, A]);
        } catch (Exception said) when (said is LsmrException or ExternalException) {
            return;
        }
        GradientReport report = result.GradientReport ?? throw new InvalidOperationException($"{problem}: no report");
        if (report.Kind is GradientErrorKind.NotCertifiable or GradientErrorKind.Unknown)
            return;
        Answered++;
        bool isCertified = report.Kind == GradientErrorKind.Certified;
        Certified += isCertified ? 1 : 0;
        Truth truth = Expected(problem, Vectors.ReadAll(g));
        double eps = Vectors.Epsilon(problem.Dtype);
        Judge("b", found[0], truth.OfB, report.RightHandSide.Absolute + 4 * eps * Norm(truth.OfB));
        if (report.Operator is { } ofOperator)
            Judge("A", found[1], truth.OfA, ofOperator.Absolute + 4 * eps * truth.Terms);
        if (report.Damp is { } ofDamp)
            Judge("damp", found[2], [truth.OfDamp], ofDamp.Absolute + 4 * eps * Math.Abs(truth.OfDamp));

        void Judge(string name, Tensor gradient, double[] expected, double stated)
        {
            double[] values = Vectors.ReadAll(spoil(gradient));
            double error = Norm([.. values.Zip(expected, (x, y) => x - y)]), ratio = error == 0 ? 0 : error / stated;
            if (double.IsNaN(ratio))
                ratio = double.PositiveInfinity;
            if (isCertified)
                WorstCertified = Math.Max(WorstCertified, ratio);
            else
                WorstEstimated = Math.Max(WorstEstimated, ratio);
            if (ratio <= (isCertified ? 1 : Factor))
                return;
            Wrong++;
            if (Failures.Count < 20)
                Failures.Add(string.Create(CultureInfo.InvariantCulture, $"{problem}: d{name}, {report}, error {error:E1}, stated {stated:E1}, norm {Norm(expected):E1}"));
        }
    }

    private sealed record Truth(double[] OfB, double[] OfA, double OfDamp, double Terms);

    // p = A (AᵀA + λ²I)⁻¹ g, w of (AᵀA + λ²I) w = g; with λ = 0 p = A⁺ᵀg, w = A⁺p, s = g − Aᵀp, y = A⁺ᵀd:
    // ∂b = p, ∂A = r wᵀ − p xᵀ + y sᵀ (y = 0 for λ > 0), ∂λ = −2 λ wᵀd (Golub and Pereyra 1973).
    private static Truth Expected(RandomProblem problem, double[] cotangent)
    {
        (int m, int n) = (problem.M, problem.N);
        double[,] A = problem.A;
        DoubleDouble[] g = [.. cotangent.Select(value => (DoubleDouble)value)];
        double[] b = Vectors.ReadAll(problem.RightHandSide());
        DoubleDouble[] x0 = [.. Enumerable.Range(0, n).Select(k => (DoubleDouble)(problem.Start?[k, 0] ?? 0))];
        DoubleDouble[] d = problem.Solve(Minus([.. b.Select(value => (DoubleDouble)value)], Times(A, x0)));
        DoubleDouble[] x = [.. d.Zip(x0, (left, right) => left + right)], r = Minus([.. b.Select(value => (DoubleDouble)value)], Times(A, x));
        DoubleDouble[] q = problem.SolveTransposed(g), w = problem.SolveStacked(q), p = q[..m];
        DoubleDouble[] s = Minus(g, TransposedTimes(A, p)), y = problem.Damp > 0 ? new DoubleDouble[m] : problem.SolveTransposed(d);
        double[] ofA = new double[m * n];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++)
                ofA[i * n + j] = (double)(r[i] * w[j] - p[i] * x[j] + y[i] * s[j]);
        }
        DoubleDouble sum = 0;
        for (int j = 0; j < n; j++)
            sum += w[j] * d[j];
        double terms = Size(r) * Size(w) + Size(p) * Size(x) + Size(y) * Size(s);
        return new([.. p.Select(value => (double)value)], ofA, -2 * problem.Damp * (double)sum, terms);
    }

    private static DoubleDouble[] Minus(DoubleDouble[] a, DoubleDouble[] b) => [.. a.Zip(b, (left, right) => left - right)];

    private static DoubleDouble[] Times(double[,] A, DoubleDouble[] x) => [.. Enumerable.Range(0, A.GetLength(0)).Select(i => {
        DoubleDouble sum = 0;
        for (int j = 0; j < x.Length; j++)
            sum += (DoubleDouble)A[i, j] * x[j];
        return sum;
    })];

    private static DoubleDouble[] TransposedTimes(double[,] A, DoubleDouble[] u) => [.. Enumerable.Range(0, A.GetLength(1)).Select(j => {
        DoubleDouble sum = 0;
        for (int i = 0; i < u.Length; i++)
            sum += (DoubleDouble)A[i, j] * u[i];
        return sum;
    })];

    private static double Size(DoubleDouble[] x) => Norm([.. x.Select(value => (double)value)]);

    private static double Norm(double[] x) => Math.Sqrt(x.Sum(value => value * value));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Cases} cases, {Answered} answered, {Certified} of them certified, {Wrong} gradients wrong, "
        + $"worst error {WorstCertified:G3} of its bound and {WorstEstimated:G3} of its estimate");
}
