using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>b with columns: each is solved, stopped and differentiated as if alone.</summary>
public class SeveralRightHandSidesTests
{
    public enum Kind { Dense, Csr, Closure, Jacobian, Composed, Diagonal }

    private static LinearOperator Operator(Kind kind, Tensor theta)
    {
        long m = theta.shape[0], n = theta.shape[1];
        return kind switch {
            Kind.Dense => LinearOperator.FromMatrix(theta),
            Kind.Csr => LinearOperator.FromCsr(theta.reshape(-1), arange(n).repeat(m), arange(0, m * n + 1, n), n),
            Kind.Closure => LinearOperator.FromMatVec(v => theta.mv(v.view(-1)), [n], theta.dtype),
            Kind.Jacobian => LinearOperator.Jacobian(z => theta.mv(z.sin()), zeros(n, theta.dtype)),
            Kind.Diagonal => LinearOperator.FromMatrix(theta) * LinearOperator.Diagonal(ones(n, theta.dtype)) + 0.0 * LinearOperator.FromMatrix(theta),
            _ => LinearOperator.Stack(LinearOperator.FromMatrix(theta[TensorIndex.Slice(0, 2)]).T.T, 2.0 * (0.5 * LinearOperator.FromMatrix(theta[TensorIndex.Slice(2)]))),
        };
    }

    [Test]
    public void Columns_and_their_gradients_are_those_of_single_solves(
        [Values] Kind kind, [Values] Shape shape, [Values(0, 0.3)] double damp, [Values] bool start, [Values] bool deficient,
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        Tensor M = Problems.Matrix(m, n, 10, 1, dtype, deficient), g = Problems.Random(5, n, 4).to(dtype);
        Tensor B = Problems.Random(2, m, 4).to(dtype), X0 = Problems.Random(3, n, 4).to(dtype);
        B.select(1, 2).zero_();                                         // a column that is done at the start
        B.select(1, 1).copy_(M.mv(Problems.Random(4, n).to(dtype)));    // one that is consistent
        bool single = dtype == ScalarType.Float32;
        double tight = single ? 2e-6 : 1e-13, tolerance = single ? 1e-3 : 1e-9;     // cond^2 times the tolerances, up to three solves

        Tensor A = M.clone().requires_grad_(), b = B.clone().requires_grad_(), x0 = X0.clone().requires_grad_(), lambda = tensor(damp, dtype).requires_grad_();
        LsmrResult all = linalg.lsmr(Operator(kind, A), b, lambda, start ? x0 : null, tight, tight);
        Assert.That(all.Converged, all.ToString());
        Assert.That(all.Solution.shape, Is.EqualTo(new[] { n, 4 }));
        Tensor[] inputs = start ? [A, b, lambda, x0] : [A, b, lambda];
        Tensor[] found = Gradient.Of(all.Solution.mul(g).sum(), inputs);

        Tensor dA = zeros_like(M), dDamp = zeros(Array.Empty<long>(), dtype);
        for (int j = 0; j < 4; j++) {
            Tensor A1 = M.clone().requires_grad_(), b1 = B.select(1, j).clone().requires_grad_(), s1 = X0.select(1, j).clone().requires_grad_(), l1 = tensor(damp, dtype).requires_grad_();
            LsmrResult one = linalg.lsmr(Operator(kind, A1), b1, l1, start ? s1 : null, tight, tight);
            Tensor[] single1 = Gradient.Of(one.Solution.mul(g.select(1, j)).sum(), start ? [A1, b1, l1, s1] : [A1, b1, l1]);
            Check.Close(all.Solution.select(1, j), one.Solution, tolerance, $"x of column {j}", floor: 1);
            // At a few eps of float32 what comes after min(m, n) iterations is the work of round-off, which differs between products with one column and with four.
            // So is the refinement of a column whose x is zero beside its start.
            int byRoundOff = single || (start && j == 2) ? one.Iterations - (int)Math.Min(m, n) : 0;
            Assert.That(all.Columns[j].Iterations, Is.EqualTo(one.Iterations).Within(Math.Max(2, byRoundOff / 3)), $"iterations of column {j}");
            if (all.Columns[j].Stop != one.Stop)        // both rules within a rounding of each other
                Assert.That(all.Columns[j].Converged);
            Check.Close(found[1].select(1, j), single1[1], tolerance, $"dL/db of column {j}", floor: 1);
            if (start)
                Check.Close(found[3].select(1, j), single1[3], tolerance, $"dL/dx0 of column {j}", floor: 1);
            dA += single1[0];
            dDamp += single1[2];
        }
        Check.Close(found[0], dA, tolerance, "dL/dA", floor: 1);
        Check.Close(found[2], dDamp, tolerance, "dL/d damp", floor: 1);
    }

    [Test]
    public void A_column_stops_by_itself_and_is_not_touched_again()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(40, 20, 1e3, 1), b = stack([M.mv(Problems.Random(7, 20)), zeros(40, float64), Problems.Random(2, 40)], 1);
        // The first column is within the span of few singular vectors: it is done long before the last.
        (Tensor U, Tensor S, _) = linalg.svd(M, false);
        b.select(1, 0).copy_(U.select(1, 0) * S[0] + U.select(1, 5) * S[5]);
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(M), b, atol: 1e-12, btol: 1e-12, conlim: 1e12);
        Assert.That(result.Columns.Select(c => c.Stop), Is.EqualTo(new[] { LsmrStop.Residual, LsmrStop.StartIsSolution, LsmrStop.LeastSquares }));
        Assert.That(result.Columns[0].Iterations, Is.LessThanOrEqualTo(4));
        Assert.That(result.Columns[1].Iterations, Is.Zero);
        Assert.That(result.Columns[2].Iterations, Is.GreaterThan(15).And.EqualTo(result.Iterations));
        Assert.That(Problems.Values(result.Solution.select(1, 1)), Is.All.Zero);
        Check.Close(result.Solution, linalg.pinv(M).mm(b), 1e-7, "X");
        Assert.That(result.ResidualNorm, Is.EqualTo(Vectors.Norm(b - M.mm(result.Solution))).Within(1e-9), "the norm of the whole");
    }

    [Test]
    public void A_column_with_NaN_leaves_the_others_alone()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(14, 6, 10, 1), b = Problems.Random(2, 14, 3);
        b[3, 1] = double.NaN;
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(M), b);
        Assert.That(result.Columns.Select(c => c.Stop), Is.EqualTo(new[] { LsmrStop.LeastSquares, LsmrStop.NonFinite, LsmrStop.LeastSquares }));
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.NonFinite));
        Assert.That(Problems.Values(result.Solution.select(1, 1)), Is.All.NaN);
        Check.Close(result.Solution.select(1, 2), linalg.pinv(M).mv(b.select(1, 2)), 1e-8, "x of the last");
    }

    [Test]
    public void One_column_is_the_single_solve_and_shapes_are_kept()
    {
        using var scope = NewDisposeScope();
        Tensor kernel = tensor([0.2, 0.6, 0.1], float64).view(1, 1, 3);
        LinearOperator blur = LinearOperator.FromMatVec(x => nn.functional.conv1d(x.view(1, 1, -1), kernel, padding: 1).view(2, 10), [4, 5], float64);
        Tensor b = Problems.Random(2, 2, 10, 3);
        Tensor all = linalg.lsmr(blur, b, 0.1).Solution;
        Assert.That(all.shape, Is.EqualTo(new long[] { 4, 5, 3 }));
        Tensor one = linalg.lsmr(blur, b.select(2, 1).contiguous(), 0.1).Solution, column = linalg.lsmr(blur, b.narrow(2, 1, 1), 0.1).Solution;
        Check.Close(all.select(2, 1), one, 1e-12, "x of a column");
        Assert.That(Problems.Values(column), Is.EqualTo(Problems.Values(one)), "one column: the same bits");
        Assert.That(() => linalg.lsmr(blur, b.transpose(0, 2)), Throws.ArgumentException);
        Assert.That(() => linalg.lsmr(blur, b, x0: zeros(4, 5, float64)), Throws.ArgumentException.With.Message.Contains("b's columns"));
    }

    [Test]
    public void Solving_for_columns_leaves_only_what_it_returns()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(14, 6, 10, 1).requires_grad_(), b = Problems.Random(2, 14, 3).requires_grad_();
        LinearOperator op = LinearOperator.FromMatrix(A);
        Tensor? x = null;
        Check.LeavesNoTensors(() => x = Lsmr.Solve(op, b, new LsmrOptions { Reorthogonalise = 3 }).Solution, 1);
        Tensor loss = x!.square().sum();
        Check.LeavesNoTensors(() => Gradient.Of(loss, A, b), 2);
        Check.LeavesNoTensors(() => Craigmr.Solve(op.T, Problems.Random(3, 6, 3).DetachFromDisposeScope()), 3);
    }
}
