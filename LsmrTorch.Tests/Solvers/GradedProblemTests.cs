using LsmrTorch.Tests.RandomSweep;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>
/// Rows, columns, blocks and starts of very different sizes: what passes by the norms of the whole is right in its small parts too,
/// or is not said to be converged.
/// </summary>
public class GradedProblemTests
{
    private DisposeScope scope = null!;
    private IDisposable guard = null!;

    [SetUp]
    public void OpenScope() => (scope, guard) = (NewDisposeScope(), no_grad());

    [TearDown]
    public void CloseScope()
    {
        guard.Dispose();
        scope.Dispose();
    }

    /// <summary>How an operator is given.</summary>
    public enum Kind { Matrix, Csr, Closure, Stack, RowBlocks }

    private static LinearOperator Operator(Tensor M, Kind kind) => kind switch {
        Kind.Matrix => LinearOperator.FromMatrix(M),
        Kind.Csr => Problems.Csr(M),
        Kind.Closure => LinearOperator.FromMatVec(v => M.mv(v), [M.shape[1]], M.dtype),
        Kind.RowBlocks => LinearOperator.FromRowBlocks((from, first, count) => from[0].narrow(0, first, count), [M], M.shape[0], 2),
        _ => LinearOperator.Stack(LinearOperator.FromMatrix(M.narrow(0, 0, 1)), LinearOperator.FromMatrix(M.narrow(0, 1, M.shape[0] - 1))),
    };

    // The least-squares solution of full rank in 32 digits.
    private static Tensor Exact(Tensor M, Tensor b)
    {
        double[,] entries = new double[M.shape[0], M.shape[1]];
        double[] values = Problems.Values(M);
        Buffer.BlockCopy(values, 0, entries, 0, values.Length * sizeof(double));
        DoubleDouble[] x = new PseudoInverse(entries).Times([.. Problems.Values(b).Select(value => (DoubleDouble)value)]);
        return tensor(x.Select(value => (double)value).ToArray(), float64);
    }

    // Converged means right; an error beyond that of the tolerances is said by the stop, or by the estimate.
    private static void RightOrMarked(LsmrResult result, Tensor expected, double tolerance, string what)
    {
        double error = Vectors.Norm(result.Solution.to(float64) - expected) / Vectors.Norm(expected);
        TestContext.Out.WriteLine($"{what}: {result}, error {error:E1}, estimate {result.ErrorEstimate:E1}");
        Assert.That(double.IsNaN(error), Is.False, what);
        if (result.Converged) {
            Assert.That(error, Is.LessThanOrEqualTo(tolerance), $"{what}: {result}");
            Assert.That(error, Is.LessThanOrEqualTo(4 * result.ErrorEstimate), $"{what}: estimate");
        }
    }

    [Test]
    public void A_large_row_beside_small_ones_hides_nothing([Values] Kind kind, [Values(1e3, 1e5, 1e7, 1e10, 1e14)] double size, [Values] bool single)
    {
        // x1 + x2 = 1 to high accuracy, and of those the one nearest to x1 = 3, 2 x2 = 1: (1, 0).
        Tensor M = tensor(new[,] { { size, size }, { 1, 0 }, { 0, 2 } }, single ? float32 : float64), b = tensor([size, 3, 1], M.dtype);
        LsmrResult result = Lsmr.Solve(Operator(M, kind), b, new LsmrOptions { ConditionLimit = 1e300 });
        Tensor expected = Exact(M, b);
        Check.Close(expected, tensor([1.0, 0.0], float64), 4 / (size * size) + 1e-15, "the limit of large sizes");
        RightOrMarked(result, expected, single ? 1e-4 : 1e-7, $"{kind}, {size:E0}");
        if (!single && size <= 1e10)
            Assert.That(result.Converged, $"float64 can: {result}");
    }

    [Test]
    public void Powers_of_raw_years_are_fitted([Values(2, 3, 4)] int degree, [Values] Kind kind)
    {
        double[] years = [.. Enumerable.Range(0, 40).Select(i => 1980.0 + i)];
        double[,] powers = new double[years.Length, degree + 1];
        for (int i = 0; i < years.Length; i++) {
            for (int j = 0; j <= degree; j++)
                powers[i, j] = Math.Pow(years[i], j);
        }
        Tensor b = tensor(years.Select(t => 3 + 0.1 * (t - 2000) + Math.Sin(7 * t)).ToArray(), float64), M = tensor(powers, float64);
        LsmrResult result = Lsmr.Solve(Operator(M, kind), b, new LsmrOptions { ConditionLimit = 1e300 });
        // What is converged has two digits at least, and says how many.
        RightOrMarked(result, Exact(M, b), 0.01, $"{kind}, degree {degree}");
        if (degree == 2)
            Assert.That(result.Converged, result.ToString());
    }

    [Test]
    public void Columns_of_a_season_and_a_trend_in_raw_years_are_fitted([Values] Kind kind)
    {
        double[,] columns = new double[48, 5], centred = new double[48, 5];
        double[] b = new double[48];
        for (int i = 0; i < 48; i++) {
            double t = 2000 + i / 4.0 + 0.1 * (i % 3);
            (columns[i, 0], columns[i, 1], columns[i, 2]) = (1, t, t * t);
            (centred[i, 0], centred[i, 1], centred[i, 2]) = (1, t - 2006, (t - 2006) * (t - 2006));
            columns[i, 3] = centred[i, 3] = Math.Cos(2 * Math.PI * t);
            columns[i, 4] = centred[i, 4] = Math.Sin(2 * Math.PI * t);
            b[i] = 5 + 0.3 * (t - 2000) + Math.Sin(2 * Math.PI * t) + 0.1 * Math.Cos(11 * t);
        }
        Tensor rhs = tensor(b, float64), C = tensor(centred, float64), expected = linalg.lstsq(C, rhs.unsqueeze(1)).Solution.squeeze(1);
        LsmrResult result = Lsmr.Solve(Operator(tensor(columns, float64), kind), rhs);
        TestContext.Out.WriteLine(result);
        if (result.Converged)
            Check.Close(result.Solution.narrow(0, 3, 2), expected.narrow(0, 3, 2), 1e-5, "the season");
        if (kind != Kind.RowBlocks)
            Assert.That(result.Converged, result.ToString());
    }

    [Test]
    public void Sparse_columns_of_sizes_from_a_thousandth_to_a_thousand_are_fitted([Values] bool large, [Values(1e-6, 1e-8, 1e-10)] double tolerance)
    {
        // More columns than the audit's dense algebra takes, and as few.
        (long m, long n) = large ? (4000, 200) : (400, 20);
        Tensor M = Problems.Random(1, m, n) * (Problems.Random(2, m, n) > 1.5).to(float64) * pow(10, linspace(-3, 3, n, float64));
        Tensor b = M.mv(Problems.Random(3, n) / M.norm(0, false, 2f)) + Problems.Random(4, m);
        LsmrResult result = Lsmr.Solve(Problems.Csr(M), b, new LsmrOptions { Atol = tolerance, Btol = tolerance });
        Tensor norms = M.norm(0, false, 2f), scaled = M / norms, expected = linalg.lstsq(scaled, b.unsqueeze(1)).Solution.squeeze(1);
        double worst = Vectors.ReadAll((result.Solution * norms - expected).abs().max().unsqueeze(0))[0] / Vectors.Norm(expected);
        TestContext.Out.WriteLine($"{result}, estimate {result.ErrorEstimate:E1}, worst entry {worst:E1}");
        Assert.That(!result.Converged || worst < 1e3 * tolerance, "every entry, in the size of its column");
        if (!large || tolerance >= 1e-6)
            Assert.That(result.Converged, result.ToString());
    }

    [Test]
    public void A_start_of_any_size_leaves_no_error_of_its_size([Values(1e3, 1e8, 1e17)] double size, [Values(0, 1e-3, 1)] double damp, [Values] Kind kind)
    {
        Tensor M = tensor(new double[,] { { 2, 1 }, { 1, 3 } }), b = tensor([3.0, 4.0]), x0 = tensor([size, -0.3 * size]);
        LsmrResult result = Lsmr.Solve(Operator(M, kind), b, new LsmrOptions { Start = x0, Damp = damp });
        // (AᵀA + λ²I) x = Aᵀb + λ²x0, without a difference of large numbers.
        Tensor expected = linalg.solve(M.t().mm(M) + eye(2, dtype: float64) * damp * damp, M.t().mv(b) + x0 * damp * damp);
        RightOrMarked(result, expected, 1e-9, $"{kind}, start {size:E0}, damp {damp}");
        Assert.That(result.Converged, result.ToString());
    }

    [Test]
    public void A_large_start_in_float32_is_right_to_float32([Values(1, 2, 3, 4, 5)] long seed, [Values(1e4, 1e6)] double size)
    {
        Tensor M = Problems.Random(seed, 12, 6).to(float32), b = Problems.Random(seed + 10, 12).to(float32), x0 = (Problems.Random(seed + 20, 6) * size).to(float32);
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { Start = x0 });
        RightOrMarked(result, Problems.Solve(M, b, 0, null), 1e-5, $"seed {seed}");
        Assert.That(result.Converged, result.ToString());
    }

    [Test]
    public void A_wide_problem_keeps_the_solution_nearest_to_a_large_start()
    {
        Tensor M = Problems.Random(1, 4, 9), b = Problems.Random(2, 4), x0 = Problems.Random(3, 9) * 1e9;
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { Start = x0 });
        Tensor inverse = linalg.pinv(M);
        Tensor expected = x0 - inverse.mv(M.mv(x0)) + inverse.mv(b);
        RightOrMarked(result, expected, 1e-12, "wide");
        Assert.That(Vectors.Norm(M.mv(result.Solution) - b), Is.LessThan(1e-5), "A x = b, to the round-off of a large x");
    }

    [Test]
    public void Damping_beside_small_columns_in_float32_is_right([Values(0, 1, 2)] int side, [Values] bool scaled)
    {
        // Columns of ones and of 1e-6 (0, …, 5) under λ = 100.
        Tensor M = stack([ones(6, float32), arange(6, float32) * 1e-6], 1);
        Tensor b = side switch { 0 => Problems.Random(3, 6).to(float32), 1 => tensor([1f, -1, 1, -1, 1, -1]), _ => arange(6, float32) - 2.5 };
        LinearOperator A = LinearOperator.FromMatrix(M);
        LsmrResult result = Lsmr.Solve(A, b, new LsmrOptions { Damp = 100, Preconditioner = scaled ? Preconditioner.ColumnScaling(A, 100) : null });
        Tensor M64 = M.to(float64), expected = linalg.solve(M64.t().mm(M64) + eye(2, dtype: float64) * 1e4, M64.t().mv(b.to(float64)));
        RightOrMarked(result, expected, 1e-5, $"b {side}");
        Assert.That(result.Converged, result.ToString());
    }

    [Test]
    public void The_error_estimate_is_NaN_without_an_audit_and_infinite_where_nothing_can_be_told()
    {
        LinearOperator A = LinearOperator.FromMatrix(Problems.Matrix(20, 8, 10, 1));
        Tensor b = Problems.Random(2, 20);
        Assert.That(Lsmr.Solve(A, b, new LsmrOptions { Audit = false }).ErrorEstimate, Is.NaN);
        Assert.That(Lsmr.Solve(A, b, new LsmrOptions { MaxIterations = 2 }).ErrorEstimate, Is.NaN, "not converged");
        // Rows of sizes that no digit of float32 connects.
        Tensor M = tensor(new[,] { { 1e9f, 1e9f }, { 1, 0 }, { 0, 2 } });
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), tensor([1e9f, 3, 1]), new LsmrOptions { ConditionLimit = 1e300 });
        Assert.That((result.Converged, result.ErrorEstimate), Is.EqualTo((false, double.PositiveInfinity)), result.ToString());
    }

    [Test]
    public void A_loose_tolerance_is_the_users([Values(1e-2, 1e-4)] double tolerance)
    {
        Tensor M = Problems.Matrix(30, 12, 100, 1), b = Problems.Random(2, 30);
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { Atol = tolerance, Btol = tolerance });
        double error = Vectors.Norm(result.Solution - Problems.Solve(M, b, 0, null)) / Vectors.Norm(result.Solution);
        Assert.That(result.Converged, result.ToString());
        Assert.That(error, Is.LessThanOrEqualTo(2 * result.ErrorEstimate).And.GreaterThan(1e-9), "as rough as asked, and said to be");
    }

    [Test]
    public void The_estimate_of_a_problem_too_large_for_dense_algebra_is_over_the_error([Values(0, 0.1)] double damp, [Values(10, 1e3)] double cond)
    {
        Tensor M = Problems.Matrix(150, 90, cond, 1), b = Problems.Random(2, 150);
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { Damp = damp });
        double error = Vectors.Norm(result.Solution - Problems.Solve(M, b, damp, null)) / Vectors.Norm(result.Solution);
        Assert.That(error, Is.LessThanOrEqualTo(result.ErrorEstimate), result.ToString());
        Assert.That(result.ErrorEstimate, Is.LessThan(1e-3), "and tells something");
    }
}
