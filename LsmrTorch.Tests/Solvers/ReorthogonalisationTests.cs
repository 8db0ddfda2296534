using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>What keeping v orthogonal does.</summary>
public class ReorthogonalisationTests
{
    private static (int Iterations, double Error) Solve(Tensor M, Tensor x, int window)
    {
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), M.mv(x), new LsmrOptions {
            Atol = 1e-13,
            Btol = 1e-13,
            ConditionLimit = 1e14,
            MaxIterations = 3000,
            Reorthogonalise = window,
        });
        Assert.That(result.Converged, result.ToString());
        return (result.Iterations, Vectors.Norm(result.Solution - x) / Vectors.Norm(x));
    }

    [Test]
    public void With_all_v_kept_an_ill_conditioned_system_ends_within_n_iterations()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(80, 40, 1e5, 1), x = Problems.Random(2, 40);
        (int without, _) = Solve(M, x, 0);
        (int full, double error) = Solve(M, x, int.MaxValue);
        (int some, _) = Solve(M, x, 20);
        TestContext.Out.WriteLine($"iterations: none {without}, window 20 {some}, all {full}");
        Assert.That(full, Is.LessThanOrEqualTo(41), "n, and one to see it");
        Assert.That(without, Is.GreaterThan(2 * full), "round-off costs iterations without");
        Assert.That(some, Is.LessThan(without));
        Assert.That(error, Is.LessThan(1e-7));  // 1e-13 times cond
    }

    [Test]
    public void The_v_of_the_bidiagonalisation_stay_orthonormal([Values(1, 3)] int columns)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor M = Problems.Matrix(60, 30, 1e6, 1), start = columns == 1 ? Problems.Random(2, 60) : Problems.Random(2, 60, columns);
        var process = new GolubKahan(LinearOperator.FromMatrix(M), start, 30);
        process.Begin();
        var vs = new List<Tensor> { process.V.clone() };
        for (int k = 1; k < 25; k++) {
            process.Step();
            vs.Add(process.V.clone());
        }
        Tensor V = stack(vs, 1).reshape(30, 25, columns);
        for (int j = 0; j < columns; j++) {
            Tensor Vj = V.select(2, j);
            Check.Close(Vj.t().mm(Vj), eye(25, dtype: float64), 1e-10, "V'V");
        }
    }

    [Test]
    public void With_all_v_kept_a_backward_solve_ends_where_the_space_does([Values(1e2, 1e6, 1e10)] double cond, [Values(0, 1e-4)] double damp)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor M = Problems.Matrix(64, 16, cond, 1), p = Problems.Random(2, 64), g = M.t().mv(p);
        CraigmrResult run = Craigmr.Solve(LinearOperator.FromMatrix(M).T, g, new CraigmrOptions { Damp = damp, Tolerance = 0, Reorthogonalise = 64 });
        Assert.That(run.Stop, Is.EqualTo(CraigmrStop.Residual), run.ToString());
        Assert.That(run.Iterations, Is.LessThanOrEqualTo(17), "n, and one to see it");
        Tensor left = g - M.t().mv(run.Solution) - (damp * damp * run.Multiplier);
        Assert.That(Vectors.Norm(left), Is.LessThan(1e-14 * (Vectors.Norm(g) + Vectors.Norm(run.Solution) + Vectors.Norm(run.Multiplier))));
    }

    [Test]
    public void A_window_changes_no_solution_and_no_gradient([Values] Shape shape, [Values(0, 0.3)] double damp)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        Tensor A = Problems.Matrix(m, n, 10, 1).requires_grad_(), b = Problems.Random(2, m);
        LsmrResult Solved(int window) => Lsmr.Solve(LinearOperator.FromMatrix(A), b, new LsmrOptions { Damp = damp, Atol = 0, Btol = 0, Reorthogonalise = window });
        LsmrResult plain = Solved(0), kept = Solved(5);
        Check.Close(kept.Solution, plain.Solution, 1e-12, "x");
        Check.Close(Gradient.Of(kept.Solution.sum(), A)[0], Gradient.Of(plain.Solution.sum(), A)[0], 1e-10, "dL/dA");
        Assert.That(() => Solved(-1), Throws.ArgumentException.With.Message.Contains("-1"));
    }
}
