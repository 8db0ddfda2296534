using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>Beginning from the last step's solutions saves iterations and moves no answer.</summary>
public class WarmStartTests
{
    [Test]
    public void Answers_and_gradients_do_not_move(
        [Values] Shape shape, [Values(0, 0.2)] double damp, [Values] bool start, [Values] bool columns)
    {
        if (shape == Shape.Wide && damp == 0)
            Assert.Pass("refused, which another test shows");
        using var scope = NewDisposeScope();
        using var cache = new WarmStart();
        (long m, long n) = Problems.Size(shape);
        for (int step = 0; step < 4; step++) {
            Tensor A = (Problems.Matrix(m, n, 10, 1) + 0.01 * step * Problems.Random(8, m, n)).requires_grad_();
            Tensor b = (columns ? Problems.Random(2, m, 3) : Problems.Random(2, m)) * (1 + 0.1 * step);
            Tensor? x0 = start ? (columns ? Problems.Random(3, n, 3) : Problems.Random(3, n)).requires_grad_() : null;
            Tensor g = columns ? Problems.Random(4, n, 3) : Problems.Random(4, n);
            b.requires_grad_();
            (Tensor X, Tensor[] Gradients) Solved(WarmStart? warm)
            {
                LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(A), b, new LsmrOptions { Damp = damp, Start = x0, Atol = 1e-14, Btol = 1e-14, WarmStart = warm });
                return (result.Solution, Gradient.Of(result.Solution.mul(g).sum(), start ? [A, b, x0!] : [A, b]));
            }
            (Tensor warmX, Tensor[] warm) = Solved(cache);
            (Tensor coldX, Tensor[] cold) = Solved(null);
            Check.Close(warmX, coldX, 1e-10, $"x at step {step}");
            for (int i = 0; i < warm.Length; i++)
                Check.Close(warm[i], cold[i], 1e-9, $"gradient {i} at step {step}", floor: 1);
        }
    }

    [Test]
    public void A_layer_whose_parameters_drift_takes_fewer_iterations([Values(0, 1e-2)] double damp)
    {
        using var scope = NewDisposeScope();
        using var cache = new WarmStart();
        (int Forward, int Backward) warm = (0, 0), cold = (0, 0);
        Tensor b = Problems.Random(2, 300), g = Problems.Random(3, 200), M = Problems.Matrix(300, 200, 30, 1), drift = Problems.Random(4, 300, 200);
        for (int step = 0; step < 10; step++) {
            Tensor A = (M + 1e-6 * step * drift).requires_grad_();
            (int, int) Count(WarmStart? start)
            {
                LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(A), b, new LsmrOptions {
                    Damp = damp,
                    Atol = 1e-7,
                    Btol = 1e-7,
                    WarmStart = start,
                    Gradient = new GradientOptions { Tolerance = 1e-6 },
                });
                Gradient.Of(result.Solution.mul(g).sum(), A);
                return (result.Iterations, result.GradientReport!.Iterations);
            }
            ((int f, int r), (int coldF, int coldR)) = (Count(cache), Count(null));
            if (step > 0) {
                warm = (warm.Forward + f, warm.Backward + r);
                cold = (cold.Forward + coldF, cold.Backward + coldR);
            }
        }
        TestContext.Out.WriteLine($"damp {damp}: iterations forward {warm.Forward} for {cold.Forward}, backward {warm.Backward} for {cold.Backward}");
        Assert.That(warm.Forward, Is.LessThan(0.7 * cold.Forward), "forward");
        Assert.That(warm.Backward, Is.LessThan(0.7 * cold.Backward), "backward");
    }

    [Test]
    public void A_damped_warm_start_does_not_pull_the_answer()
    {
        using var scope = NewDisposeScope();
        using var cache = new WarmStart();
        cache.KeepSolution(100 * Problems.Random(9, 6));
        Tensor M = Problems.Matrix(14, 6, 10, 1), b = Problems.Random(2, 14);
        Tensor x = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { Damp = 1, Atol = 1e-14, Btol = 1e-14, WarmStart = cache }).Solution;
        Check.Close(x, Problems.Solve(M, b, 1, null), 1e-11, "x");
    }

    [Test]
    public void Dependent_columns_are_found_and_begin_anew()
    {
        using var scope = NewDisposeScope();
        using var cache = new WarmStart();
        var warnings = new List<string>();
        Diagnostics.Warning += warnings.Add;
        try {
            Tensor M = Problems.Matrix(14, 6, 10, 1, deficient: true);
            for (int step = 0; step < 3; step++) {
                Tensor b = Problems.Random(2 + step, 14);
                Tensor x = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { WarmStart = cache }).Solution;
                Check.Close(x, linalg.pinv(M, 1e-10).mv(b), 1e-8, "the solution of least norm");
            }
            Assert.That(warnings, Has.Count.EqualTo(1).And.Some.Contains("dependent columns"));
        } finally {
            Diagnostics.Warning -= warnings.Add;
        }
    }

    [Test]
    public void Another_shape_begins_anew_and_what_is_held_can_be_dropped()
    {
        using var scope = NewDisposeScope();
        var cache = new WarmStart();
        Check.LeavesNoTensors(() => {
            using var inner = NewDisposeScope();
            foreach (int n in new[] { 6, 5 }) {
                Tensor M = Problems.Matrix(14, n, 10, 1), b = Problems.Random(2, 14).requires_grad_();
                LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { WarmStart = cache });
                Check.Close(result.Solution, linalg.pinv(M).mv(b), 1e-8, "x");
                result.Solution.sum().backward();
            }
            cache.Dispose();
        });
    }

    [Test]
    public void The_rank_of_an_operator_is_not_taken_for_that_of_one_of_another_size()
    {
        using var scope = NewDisposeScope();
        using var cache = new WarmStart();
        Tensor full = Problems.Matrix(14, 6, 10, 1), deficient = Problems.Matrix(20, 6, 10, 1, deficient: true);
        for (int step = 0; step < 4; step++) {
            Tensor M = step < 2 ? full : deficient, b = Problems.Random(2 + step, M.shape[0]);
            Tensor x = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { WarmStart = cache }).Solution;
            Check.Close(x, linalg.pinv(M, 1e-10).mv(b), 1e-8, $"x of least norm at step {step}");
        }
    }

    [Test]
    public void What_is_not_finite_is_not_held()
    {
        using var scope = NewDisposeScope();
        using var cache = new WarmStart();
        Tensor M = Problems.Matrix(14, 6, 10, 1), b = Problems.Random(2, 14).requires_grad_();
        var options = new LsmrOptions { WarmStart = cache, Gradient = new() { WhenUnconverged = Unconverged.Accept } };
        foreach (double factor in new[] { double.NaN, 1 }) {
            Tensor loss = Lsmr.Solve(LinearOperator.FromMatrix(M), b, options).Solution.mul(tensor(factor, float64)).sum();
            Tensor found = Gradient.Of(loss, b)[0];
            if (double.IsNaN(factor))
                Assert.That(Problems.Values(found), Is.All.NaN);
            else
                Check.Close(found, linalg.pinv(M).t().mv(ones(6, float64)), 1e-9, "dL/db after a cotangent of NaN");
        }
    }

    [Test]
    public void A_wide_undamped_operator_is_refused()
    {
        using var scope = NewDisposeScope();
        using var cache = new WarmStart();
        Assert.That(() => Lsmr.Solve(LinearOperator.FromMatrix(Problems.Matrix(6, 14, 10, 1)), Problems.Random(2, 6), new LsmrOptions { WarmStart = cache }),
            Throws.ArgumentException.With.Message.Contains("more columns (14) than rows (6)"));
    }
}
