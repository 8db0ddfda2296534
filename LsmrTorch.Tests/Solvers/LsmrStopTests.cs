using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>Every reason to stop is reached, and the edges are answered exactly.</summary>
public class LsmrStopTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static LinearOperator Tall(double cond = 10) => LinearOperator.FromMatrix(Problems.Matrix(20, 8, cond, 1));

    [Test]
    public void A_consistent_system_stops_on_Residual()
    {
        Tensor A = Problems.Matrix(20, 8, 10, 1), x = Problems.Random(2, 8);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), A.mv(x));
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.Residual));
        Assert.That(result.Converged);
        Check.Close(result.Solution, x, 1e-8, "x"); // btol 1e-10 times cond
    }

    [Test]
    public void An_inconsistent_system_stops_on_LeastSquares()
    {
        LsmrResult result = linalg.lsmr(Tall(), Problems.Random(2, 20));
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.LeastSquares));
        Assert.That(result.Converged);
    }

    [Test]
    public void A_condition_over_the_limit_stops_on_IllConditioned()
    {
        LsmrResult result = linalg.lsmr(Tall(1e6), Problems.Random(2, 20), conlim: 100);
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.IllConditioned));
        Assert.That(result.Converged, Is.False);
        Assert.That(result.ThrowIfFailed, Throws.InstanceOf<LsmrException>().With.Message.StartsWith("LSMR stopped on IllConditioned after"));
    }

    [Test]
    public void The_limit_stops_on_IterationLimit([Values(0, 3)] int limit)
    {
        LsmrResult result = linalg.lsmr(Tall(), Problems.Random(2, 20), maxiter: limit);
        Assert.That((result.Stop, result.Iterations), Is.EqualTo((LsmrStop.IterationLimit, limit)));
        Assert.That(result.Converged, Is.False);
    }

    [Test]
    public void The_caller_stops_with_Requested_and_sees_every_iteration()
    {
        var history = new List<LsmrProgress>();
        LsmrResult result = linalg.lsmr(Tall(), Problems.Random(2, 20), stop_when: p => {
            history.Add(p);
            return p.Iteration == 4;
        });
        Assert.That((result.Stop, result.Iterations), Is.EqualTo((LsmrStop.Requested, 4)));
        Assert.That(history.Select(p => p.Iteration), Is.EqualTo(new[] { 1, 2, 3, 4 }));
        Assert.That(history.Select(p => p.ResidualNorm), Is.Ordered.Descending, "LSMR's |r| falls");
        Assert.That(history.Select(p => p.NormalResidualNorm), Is.Ordered.Descending, "LSMR's |A'r| falls");
        Assert.That(history.Select(p => p.FrobeniusEstimate), Is.Ordered.Ascending);
        Assert.That(history[^1].SolutionNorm, Is.EqualTo(Vectors.Norm(result.Solution)).Within(1e-14));
    }

    [Test]
    public void A_cancelled_solve_throws()
    {
        using var source = new CancellationTokenSource();
        Assert.That(() => linalg.lsmr(Tall(), Problems.Random(2, 20), stop_when: p => {
            source.Cancel();
            return false;
        }, cancellation_token: source.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Norms_in_the_result_are_those_of_the_solution([Values(0, 0.7)] double damp, [Values] bool start)
    {
        Tensor A = Problems.Matrix(20, 8, 10, 1), b = Problems.Random(2, 20), x0 = start ? Problems.Random(3, 8) : zeros(8, float64);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b, damp, start ? x0 : null, maxiter: 5);
        Tensor r = b - A.mv(result.Solution), d = result.Solution - x0;
        Assert.That(result.ResidualNorm, Is.EqualTo(Vectors.Norm(cat([r, d * damp]))).Within(1e-13));
        Assert.That(result.NormalResidualNorm, Is.EqualTo(Vectors.Norm(A.t().mv(r) - d * damp * damp)).Within(1e-13));
        Assert.That(result.SolutionNorm, Is.EqualTo(Vectors.Norm(result.Solution)).Within(1e-14));
        Tensor spectrum = linalg.svdvals(cat([A, eye(8, dtype: float64) * damp]));
        Assert.That(result.ConditionEstimate, Is.InRange(1.0, (spectrum[0] / spectrum[-1]).item<double>() * (1 + 1e-12)), "a lower bound");
    }

    [Test]
    public void A_zero_right_hand_side_has_the_solution_zero([Values] Shape shape, [Values(0, 1)] double damp)
    {
        (long m, long n) = Problems.Size(shape);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(Problems.Matrix(m, n, 3, 1)), zeros(m, float64), damp);
        Assert.That((result.Stop, result.Iterations), Is.EqualTo((LsmrStop.StartIsSolution, 0)));
        Assert.That(Problems.Values(result.Solution), Is.All.Zero);
    }

    [Test]
    public void A_zero_right_hand_side_with_a_start_is_solved_from_it([Values] Shape shape, [Values(0, 1)] double damp)
    {
        (long m, long n) = Problems.Size(shape);
        Tensor A = Problems.Matrix(m, n, 3, 1), x0 = Problems.Random(2, n), b = zeros(m, float64);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b, damp, x0);
        Assert.That(result.Converged, result.ToString());
        Check.Close(result.Solution, Problems.Solve(A, b, damp, x0), 1e-8, "x", floor: 1);
    }

    [Test]
    public void A_right_hand_side_orthogonal_to_the_range_has_the_solution_zero()
    {
        Tensor A = tensor([1.0, 0, 0, 1, 0, 0], float64).view(3, 2), b = tensor([0.0, 0, 5], float64).requires_grad_();
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b);
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.StartIsSolution));
        Assert.That(Problems.Values(result.Solution), Is.All.Zero);
        Tensor gradient = Gradient.Of(result.Solution.mul(tensor([2.0, 3.0], float64)).sum(), b)[0];
        Assert.That(Problems.Values(gradient), Is.EqualTo(new[] { 2.0, 3.0, 0 }).Within(1e-12));
    }

    [Test]
    public void A_start_that_is_the_solution_is_returned_as_a_new_tensor()
    {
        Tensor A = tensor([2.0, 0, 0, 4], float64).view(2, 2), x0 = tensor([1.0, 2], float64);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), A.mv(x0), 0, x0);
        Assert.That((result.Stop, result.Iterations), Is.EqualTo((LsmrStop.StartIsSolution, 0)));
        Assert.That(Problems.Values(result.Solution), Is.EqualTo(Problems.Values(x0)));
        Assert.That(result.Solution, Is.Not.SameAs(x0));
        result.Solution.zero_();
        Assert.That(Problems.Values(x0), Is.EqualTo(new[] { 1.0, 2 }), "the start is not written to");
    }

    [TestCase(1, 5)]
    [TestCase(5, 1)]
    [TestCase(1, 1)]
    public void One_row_or_one_column_is_solved_in_one_iteration_with_gradients(long m, long n)
    {
        Tensor A = Problems.Random(1, m, n).requires_grad_(), b = Problems.Random(2, m).requires_grad_(), g = Problems.Random(3, n);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b);
        Assert.That(result.Iterations, Is.EqualTo(1));
        Check.Close(result.Solution, Problems.Solve(A, b, 0, null), 1e-13, "x");
        Tensor[] found = Gradient.Of(result.Solution.mul(g).sum(), A, b);
        Tensor same = A.detach().requires_grad_(), rhs = b.detach().requires_grad_();
        Tensor dense = m >= n ? linalg.solve(same.t().mm(same), same.t().mv(rhs)) : same.t().mv(linalg.solve(same.mm(same.t()), rhs));
        Tensor[] truth = Gradient.Of(dense.mul(g).sum(), same, rhs);
        Check.Close(found[0], truth[0], 1e-11, "dL/dA", floor: 1e-3);
        Check.Close(found[1], truth[1], 1e-11, "dL/db");
    }

    [TestCase(0, 3)]
    [TestCase(3, 0)]
    public void A_matrix_without_rows_or_columns_has_the_solution_zero(long m, long n)
    {
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(zeros(m, n, float64)), ones(m, float64));
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.StartIsSolution));
        Assert.That(result.Solution.shape, Is.EqualTo(new[] { n }));
        Assert.That(Problems.Values(result.Solution), Is.All.Zero);
    }

    [Test]
    public void Zero_rows_and_columns_in_the_matrix_leave_zeros_in_the_solution()
    {
        Tensor A = Problems.Matrix(10, 4, 3, 1);
        A[2] = zeros(4, float64);
        A[TensorIndex.Colon, 1] = zeros(10, float64);
        Tensor b = Problems.Random(2, 10);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b);
        Assert.That(result.Converged, result.ToString());
        Assert.That(result.Solution[1].item<double>(), Is.Zero);
        Check.Close(result.Solution, Problems.Solve(A, b, 0, null), 1e-8, "x");
    }

    [TestCase(double.NaN)]
    [TestCase(double.PositiveInfinity)]
    public void A_right_hand_side_that_is_not_finite_stops_at_once(double value)
    {
        Tensor b = ones(20, float64);
        b[3] = value;
        LsmrResult result = linalg.lsmr(Tall(), b);
        Assert.That((result.Stop, result.Iterations, result.Converged), Is.EqualTo((LsmrStop.NonFinite, 0, false)));
        Assert.That(Problems.Values(result.Solution), Is.All.NaN);
    }

    [Test]
    public void A_closure_that_returns_NaN_later_stops_there([Values] bool transpose)
    {
        Tensor M = Problems.Matrix(20, 8, 100, 1);
        int calls = 0;
        Tensor Spoil(Tensor x) => ++calls < 7 ? x : x.mul(tensor(double.NaN, float64));
        LinearOperator A = LinearOperator.FromMatVec(v => transpose ? M.mv(v) : Spoil(M.mv(v)), u => transpose ? Spoil(M.t().mv(u)) : M.t().mv(u), [8], float64);
        using var guard = no_grad();    // otherwise one more product looks for tensors that require gradients
        LsmrResult result = linalg.lsmr(A, Problems.Random(2, 20));
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.NonFinite));
        Assert.That(calls, Is.EqualTo(7), "no product after the first that is not finite");
    }

    [Test]
    public void Numbers_that_overflow_the_dtype_stop_on_NonFinite()
    {
        LinearOperator A = 1e30 * (1e30 * LinearOperator.Identity([4]));
        Assert.That(linalg.lsmr(A, ones(4)).Stop, Is.EqualTo(LsmrStop.NonFinite));
    }

    [TestCase(1e-25)]
    [TestCase(1e25)]
    public void Squares_that_leave_float32_do_not_spoil_a_solve(double scale)
    {
        Tensor A = Problems.Matrix(20, 8, 10, 1, float32), b = Problems.Random(2, 20).to(float32);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b * (float)scale);
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.LeastSquares));
        Check.Close(result.Solution.to(float64) / scale, Problems.Solve(A, b, 0, null), 1e-4, "x / scale"); // cond^2 eps
    }

    [Test]
    public void Scaling_by_powers_of_two_changes_no_digit_and_no_count([Values(-30, 0, 30)] int s, [Values(-30, 30)] int t)
    {
        Tensor A = Problems.Matrix(20, 8, 1e3, 1), b = Problems.Random(2, 20);
        LsmrResult plain = linalg.lsmr(LinearOperator.FromMatrix(A), b, 0.01);
        LsmrResult scaled = linalg.lsmr(LinearOperator.FromMatrix(A * Math.ScaleB(1, s)), b * Math.ScaleB(1, t), Math.ScaleB(0.01, s));
        Assert.That((scaled.Stop, scaled.Iterations), Is.EqualTo((plain.Stop, plain.Iterations)));
        Assert.That(Problems.Values(scaled.Solution * Math.ScaleB(1, s - t)), Is.EqualTo(Problems.Values(plain.Solution)));
        Assert.That(scaled.ConditionEstimate, Is.EqualTo(plain.ConditionEstimate));
    }

    [Test]
    public void Views_and_shaped_vectors_are_solved_like_flat_ones()
    {
        Tensor A = Problems.Matrix(12, 6, 5, 1), b = Problems.Random(2, 12), wide = Problems.Random(2, 12).view(4, 3);
        LinearOperator shaped = LinearOperator.FromMatVec(v => A.mv(v.reshape(-1)).view(4, 3), [2, 3], float64);
        Tensor flat = linalg.lsmr(LinearOperator.FromMatrix(A), b).Solution;
        Tensor strided = zeros(4, 6, float64)[TensorIndex.Colon, TensorIndex.Slice(0, 6, 2)];
        strided.copy_(wide);
        Tensor transposed = wide.t().contiguous().t(), expanded = ones(1, float64).expand(12);
        Check.Close(linalg.lsmr(shaped, wide).Solution, flat.view(2, 3), 1e-13, "contiguous");
        Check.Close(linalg.lsmr(shaped, strided).Solution, flat.view(2, 3), 1e-13, "strided");
        Check.Close(linalg.lsmr(shaped, transposed).Solution, flat.view(2, 3), 1e-13, "transposed");
        Check.Close(linalg.lsmr(LinearOperator.FromMatrix(A), expanded).Solution, Problems.Solve(A, expanded, 0, null), 1e-8, "expanded");
        Check.Close(linalg.lsmr(LinearOperator.FromMatrix(A), b, 0, zeros(1, float64).expand(6)).Solution, flat, 1e-13, "expanded start");
    }
}
