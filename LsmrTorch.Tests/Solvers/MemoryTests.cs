using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>How many vectors a solve holds, counted inside its products.</summary>
public class MemoryTests
{
    /// <summary>The most live tensors at any product, counted from when the solve began.</summary>
    private static long MostLive(Func<LinearOperator, object> solve, Tensor M)
    {
        long before = 0, most = 0;
        Tensor Counted(Tensor x)
        {
            most = Math.Max(most, DisposeScopeManager.Statistics.ThreadTotalLiveCount - before);
            return x;
        }
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using Tensor Mt = M.t();
        LinearOperator A = LinearOperator.FromMatVec(v => Counted(M.mv(v)), u => Counted(Mt.mv(u)), [M.shape[1]], M.dtype);
        before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        most = 0;
        solve(A);
        return most;
    }

    [Test]
    public void Lsmr_holds_four_vectors_like_x_and_two_like_b_beside_x()
    {
        using var scope = NewDisposeScope();
        // So large that the audit takes no dense algebra.
        Tensor M = Problems.Matrix(90, 70, 100, 1), b = Problems.Random(2, 90);
        foreach (double damp in new[] { 0, 0.1 }) {
            long most = MostLive(A => linalg.lsmr(A, b, damp), M);
            // x, u, v, h, hBar, and one product at a time; the handle of b without a graph holds no memory of its own.
            Assert.That(most - 1, Is.EqualTo(6));
        }
    }

    [Test]
    public void Craigmr_holds_what_it_says()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(30, 40, 100, 1), b = Problems.Random(2, 30);
        // x, y, u, v, e, f, D and a product; damped q as well; and the handle of b.
        Assert.That(MostLive(A => Craigmr.Solve(A, b), M) - 1, Is.EqualTo(8));
        Assert.That(MostLive(A => Craigmr.Solve(A, b, new() { Damp = 0.1 }), M) - 1, Is.EqualTo(9));
    }

    [Test]
    public void Memory_does_not_grow_with_the_iterations()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(40, 30, 1e4, 1).requires_grad_(), b = Problems.Random(2, 40);
        long Live(int iterations) => MostLive(A => {
            using var grad = enable_grad();
            return Lsmr.Solve(A, b, new LsmrOptions { MaxIterations = iterations, Gradient = new() { WhenUnconverged = Unconverged.Accept } });
        }, M);
        Assert.That(Live(40), Is.EqualTo(Live(4)));
    }

    [Test]
    public void Inputs_are_not_written_to()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(9, 5, 5, 1), b = Problems.Random(2, 9), x0 = Problems.Random(3, 5);
        double[][] before = [Problems.Values(M), Problems.Values(b), Problems.Values(x0)];
        linalg.lsmr(LinearOperator.FromMatrix(M), b, 0.1, x0);
        Craigmr.Solve(LinearOperator.FromMatrix(M), b, new() { Damp = 0.1 });
        Assert.That(new[] { Problems.Values(M), Problems.Values(b), Problems.Values(x0) }, Is.EqualTo(before));
    }
}
