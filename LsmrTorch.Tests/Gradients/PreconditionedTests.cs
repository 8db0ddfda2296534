using System.Runtime.InteropServices;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>With a preconditioner the solution and its gradients are those without, in fewer iterations.</summary>
public class PreconditionedTests
{
    public enum Kind { Scaling, Sketch, Dense }

    private static LinearOperator Preconditioner(Kind kind, LinearOperator A, double damp) => kind switch {
        Kind.Scaling => LsmrTorch.Preconditioner.ColumnScaling(A, damp),
        Kind.Sketch => LsmrTorch.Preconditioner.Sketch(A, damp),
        _ => LinearOperator.FromMatrix(Problems.Matrix(A.Columns, A.Columns, 3, 77, A.dtype)),     // any invertible P
    };

    [Test]
    public void Solutions_and_gradients_are_those_without(
        [Values] Kind kind, [Values] Shape shape, [Values(0, 0.3)] double damp, [Values] bool start, [Values] bool columns,
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        if (shape == Shape.Wide && damp == 0)
            Assert.Pass("refused, which another test shows");
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        long[] tail = columns ? [3] : [];
        Tensor g = Problems.Random(5, [n, .. tail]).to(dtype);
        bool single = dtype == ScalarType.Float32;
        (Tensor X, Tensor[] Gradients, LsmrResult Result) Solve(bool preconditioned)
        {
            Tensor A = Problems.Matrix(m, n, 10, 1, dtype).requires_grad_(), b = Problems.Random(2, [m, .. tail]).to(dtype).requires_grad_();
            Tensor x0 = Problems.Random(3, [n, .. tail]).to(dtype).requires_grad_(), lambda = tensor(damp, dtype).requires_grad_();
            LinearOperator op = LinearOperator.FromMatrix(A);
            LsmrResult result = Lsmr.Solve(op, b, new LsmrOptions {
                Damp = lambda,
                Start = start ? x0 : null,
                Atol = 0,
                Btol = 0,
                Preconditioner = preconditioned ? Preconditioner(kind, op, damp) : null,
            });
            return (result.Solution, Gradient.Of(result.Solution.mul(g).sum(), start ? [A, b, lambda, x0] : [A, b, lambda]), result);
        }
        var with = Solve(true);
        var without = Solve(false);
        double tolerance = single ? 2e-4 : 1e-11;       // cond^2 times 3 eps, a few times
        Assert.That(with.Result.Converged, with.Result.ToString());
        Check.Close(with.X, without.X, tolerance, "x", floor: 1);
        for (int i = 0; i < with.Gradients.Length; i++)
            Check.Close(with.Gradients[i], without.Gradients[i], tolerance, $"gradient {i}", floor: 1);
        Assert.That(with.Result.GradientReport!.Runs, Is.EqualTo(1));
        if (damp > 0)
            Assert.That(with.Result.GradientReport.Kind, Is.EqualTo(GradientErrorKind.Certified));
    }

    [Test]
    public void Scaled_columns_save_iterations_forward_and_backward([Values(0, 1e-3)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor scales = pow(tensor(10.0, float64), linspace(0, -4, 30, float64));
        Tensor A = (Problems.Matrix(60, 30, 3, 1) * scales).requires_grad_(), b = Problems.Random(2, 60);
        (int, int) Count(LinearOperator? P)
        {
            LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(A), b, new LsmrOptions { Damp = damp, Preconditioner = P, ConditionLimit = 1e12, MaxIterations = 5000, Gradient = new() { MaxIterations = 5000 } });
            Gradient.Of(result.Solution.sum(), A);
            return (result.Iterations, result.GradientReport!.Iterations);
        }
        ((int forward, int backward), (int plainForward, int plainBackward)) = (Count(LsmrTorch.Preconditioner.ColumnScaling(LinearOperator.FromMatrix(A), damp)), Count(null));
        TestContext.Out.WriteLine($"damp {damp}: iterations forward {forward} for {plainForward}, backward {backward} for {plainBackward}");
        Assert.That(forward, Is.LessThan(plainForward / 2));
        Assert.That(backward, Is.LessThan(plainBackward / 2));
    }

    [TestCase(1e2)]
    [TestCase(1e6)]
    [TestCase(1e10)]
    public void With_a_sketch_some_forty_iterations_suffice_whatever_the_condition(double cond)
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(1200, 60, cond, 1), b = Problems.Random(2, 1200).requires_grad_();
        LinearOperator A = LinearOperator.FromMatrix(M);
        LsmrResult result = Lsmr.Solve(A, b, new LsmrOptions { Atol = 1e-12, Btol = 1e-12, Preconditioner = LsmrTorch.Preconditioner.Sketch(A) });
        Assert.That(result.Converged, result.ToString());
        Assert.That(result.Iterations, Is.LessThanOrEqualTo(60));
        // The residual is at its minimum: A'r = 0 in the metric of R, to the tolerance.
        Tensor Q = linalg.qr(M).Q, r = b.detach() - M.mv(result.Solution.detach());
        // x of the size 1/sigma_min is itself rounded, and A x with it.
        double roundoff = 4 * Vectors.Epsilon(float64) * Vectors.Norm(result.Solution.detach());
        Assert.That(Vectors.Norm(Q.t().mv(r)), Is.LessThan(1e-10 * Vectors.Norm(r) + roundoff));
        result.Solution.sum().backward();
        Assert.That(result.GradientReport!.Iterations, Is.LessThanOrEqualTo(60));
    }

    [Test]
    public void A_sketch_of_another_matrix_costs_iterations_and_moves_no_answer([Values(0, 0.3)] double damp, [Values] bool columns)
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(600, 20, 1e3, 1), drifted = M + 1e-4 * Problems.Random(3, 600, 20), b = columns ? Problems.Random(2, 600, 3) : Problems.Random(2, 600);
        LinearOperator P = LsmrTorch.Preconditioner.Sketch(LinearOperator.FromMatrix(M), damp), A = LinearOperator.FromMatrix(drifted);
        LsmrResult result = Lsmr.Solve(A, b, new LsmrOptions { Damp = damp, Atol = 1e-12, Btol = 1e-12, Preconditioner = P });
        Assert.That(result.Converged, result.ToString());
        Tensor truth = linalg.solve(drifted.t().mm(drifted) + damp * damp * eye(20, dtype: float64), drifted.t().matmul(b));
        Check.Close(result.Solution, truth, 1e-8, "x");        // the truth's own error, eps cond^2, is the larger
    }

    [Test]
    public void What_does_not_fit_is_refused()
    {
        using var scope = NewDisposeScope();
        LinearOperator tall = LinearOperator.FromMatrix(Problems.Matrix(14, 6, 10, 1)), wide = LinearOperator.FromMatrix(Problems.Matrix(6, 14, 10, 1));
        LinearOperator Eye(long n, ScalarType dtype = ScalarType.Float64) => LinearOperator.Identity([n], dtype);
        Assert.That(() => Lsmr.Solve(wide, Problems.Random(2, 6), new() { Preconditioner = Eye(14) }), Throws.ArgumentException.With.Message.Contains("more columns (14) than rows (6)"));
        Assert.That(() => Lsmr.Solve(tall, Problems.Random(2, 14), new() { Preconditioner = Eye(5) }), Throws.ArgumentException.With.Message.Contains("(5)"));
        Assert.That(() => Lsmr.Solve(tall, Problems.Random(2, 14), new() { Preconditioner = Eye(6, float32) }), Throws.ArgumentException.With.Message.Contains("Float32"));
        Tensor deficient = Problems.Matrix(14, 6, 10, 1, deficient: true), b = Problems.Random(2, 14).requires_grad_();
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(deficient), b, new() { Preconditioner = Eye(6) });
        Assert.That(() => result.Solution.sum().backward(), Throws.InstanceOf<ExternalException>());
    }

    [Test]
    public void A_preconditioned_solve_leaves_only_what_it_returns()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(14, 6, 10, 1).requires_grad_(), b = Problems.Random(2, 14);
        LinearOperator op = LinearOperator.FromMatrix(A), P = LsmrTorch.Preconditioner.Sketch(op, 0.1);
        using var cache = new WarmStart();
        var options = new LsmrOptions { Damp = 0.1, Preconditioner = P, WarmStart = cache };
        Gradient.Of(Lsmr.Solve(op, b, options).Solution.sum(), A);      // fills the cache
        Tensor? x = null;
        Check.LeavesNoTensors(() => x = Lsmr.Solve(op, b, options).Solution, 1);
        Tensor loss = x!.sum();
        Check.LeavesNoTensors(() => Gradient.Of(loss, A), 1);
    }
}
