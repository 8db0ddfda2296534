using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>A warm start never makes a problem fail that a cold start solves, however b changed.</summary>
public class WarmStartScaleTests
{
    private static IEnumerable<object[]> Changes() =>
        from factor in new[] { 1, -1, 0, 1e-3, 1e-6, 1e-12, 1e6, 1e12 }
        from damp in new[] { 0, 0.5 }
        from single in new[] { false, true }
        from columns in new[] { 1, 3 }
        from start in new[] { false, true }
        select new object[] { factor, damp, single, columns, start };

    [TestCaseSource(nameof(Changes))]
    public void A_change_of_the_size_of_b_is_solved(double factor, double damp, bool single, int columns, bool start)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        ScalarType dtype = single ? float32 : float64;
        long[] more = columns == 1 ? [] : [columns];
        Tensor M = Problems.Matrix(14, 6, 10, 1, dtype), b = Problems.Random(2, [14, .. more]).to(dtype);
        Tensor? x0 = start ? Problems.Random(3, [6, .. more]).to(dtype) : null;
        using var warm = new WarmStart();
        var options = new LsmrOptions { WarmStart = warm, Damp = damp, Start = x0 };
        Assert.That(Lsmr.Solve(LinearOperator.FromMatrix(M), b, options).Converged);
        Tensor next = b * tensor(factor, dtype);
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), next, options);
        Assert.That(result.Converged, result.ToString());
        Tensor expected = columns == 1
            ? Problems.Solve(M, next, damp, x0)
            : stack(Enumerable.Range(0, columns).Select(j => Problems.Solve(M, next.select(1, j), damp, x0?.select(1, j))).ToArray(), 1);
        // Beside a start, or with b = 0 undamped, x may be zero but for round-off of the start.
        Check.Close(result.Solution, expected, single ? 2e-5 : 1e-8, "x", floor: start && damp == 0 ? 1e-3 : 0);
    }

    [Test]
    public void A_right_hand_side_of_another_problem_is_solved([Values(0, 0.5)] double damp, [Values] bool single)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        ScalarType dtype = single ? float32 : float64;
        Tensor M = Problems.Matrix(14, 6, 10, 1, dtype);
        using var warm = new WarmStart();
        foreach (long seed in new long[] { 2, 3, 4 }) {
            Tensor b = Problems.Random(seed, 14).to(dtype) * tensor(Math.Pow(10, seed), dtype);
            LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { WarmStart = warm, Damp = damp });
            Assert.That(result.Converged, result.ToString());
            Check.Close(result.Solution, Problems.Solve(M, b, damp, null), single ? 2e-5 : 1e-8, "x");
        }
    }

    [Test]
    public void A_multiple_of_the_last_right_hand_side_takes_few_iterations([Values(1e-6, -3, 1e6)] double factor)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor M = Problems.Matrix(60, 30, 1e3, 1), b = Problems.Random(2, 60);
        using var warm = new WarmStart();
        int cold = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { WarmStart = warm }).Iterations;
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), b * factor, new LsmrOptions { WarmStart = warm });
        Assert.That(result.Converged, result.ToString());
        Assert.That(result.Iterations, Is.LessThan(cold / 4));
    }

    [Test]
    public void An_operator_whose_columns_have_become_dependent_is_solved_for_the_least_norm()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor M = Problems.Matrix(14, 6, 10, 1), deficient = Problems.Matrix(14, 6, 10, 3, deficient: true), b = Problems.Random(2, 14);
        using var warm = new WarmStart();
        Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { WarmStart = warm });
        for (int i = 0; i < 2; i++) {
            LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(deficient), b, new LsmrOptions { WarmStart = warm });
            Assert.That(result.Converged, result.ToString());
            Check.Close(result.Solution, Problems.Solve(deficient, b, 0, null), 1e-8, "x");
        }
    }
}
