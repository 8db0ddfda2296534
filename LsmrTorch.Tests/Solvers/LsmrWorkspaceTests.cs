using System.Runtime.CompilerServices;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>Solves in one workspace are those of Lsmr.Solve, and leave nothing behind.</summary>
public class LsmrWorkspaceTests
{
    private static LinearOperator Operator(string kind, Tensor M) => kind switch {
        "dense" => LinearOperator.FromMatrix(M),
        "columns" => LinearOperator.FromMatrix(M.t().contiguous().t()),
        "csr" => Problems.Csr(M),
        "composed" => LinearOperator.FromMatrix(M) * LinearOperator.Diagonal(Problems.Random(3, M.shape[1]).to(M.dtype)),
        _ => LinearOperator.FromMatVec(v => M.mv(v), u => M.t().mv(u), [M.shape[1]], M.dtype),
    };

    [Test]
    public void One_after_another_they_are_those_of_single_solves(
        [Values("dense", "columns", "csr", "composed", "closures")] string kind, [Values("30x20", "20x20", "20x30")] string size,
        [Values(0.0, 0.3)] double damp, [Values(0, 5)] int window, [Values] bool isSingle)
    {
        using var scope = NewDisposeScope();
        long[] shape = [.. size.Split('x').Select(long.Parse)];
        ScalarType dtype = isSingle ? ScalarType.Float32 : ScalarType.Float64;
        Tensor M = Problems.Matrix(shape[0], shape[1], 10, 1).to(dtype);
        LinearOperator A = Operator(kind, M);
        var options = new LsmrOptions { Damp = damp, Reorthogonalise = window, Audit = false };
        using var workspace = new LsmrWorkspace(A, options);
        Tensor x = zeros(shape[1], dtype);
        for (long seed = 2; seed < 6; seed++) {
            Tensor b = Problems.Random(seed, shape[0]).to(dtype);
            LsmrResult alone = Lsmr.Solve(A, b, options);
            LsmrColumn here = workspace.Solve(b, x);
            Assert.That(here, Is.EqualTo(alone.Columns[0]));
            Assert.That(Problems.Values(x), Is.EqualTo(Problems.Values(alone.Solution)));
        }
    }

    [Test]
    public void Entries_may_change_between_solves()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(30, 20, 10, 1), b = Problems.Random(2, 30), x = zeros(20, float64);
        using var workspace = new LsmrWorkspace(LinearOperator.FromMatrix(M));
        workspace.Solve(b, x);
        M.mul_(2);
        workspace.Solve(b, x);
        Check.Close(x, linalg.lstsq(M, b.unsqueeze(1)).Solution.squeeze(1), 1e-8, "x");       // tolerances 1e-10, cond 10
    }

    [Test]
    public void After_the_first_no_managed_memory_is_allocated([Values("dense", "columns", "csr")] string kind, [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor M = Problems.Matrix(200, 100, 100, 1).to(dtype), b = Problems.Random(2, 200).to(dtype), x = zeros(100, dtype);
        using var workspace = new LsmrWorkspace(Operator(kind, M));
        Assert.That(workspace.Solve(b, x).Iterations, Is.GreaterThan(20));
        for (int i = 0; i < 100; i++)               // until the compiler is through with it
            workspace.Solve(b, x);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
            workspace.Solve(b, x);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void The_loop_of_a_single_solve_allocates_only_for_its_estimates([Values("dense", "columns", "csr")] string kind)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor M = Problems.Matrix(200, 100, 1e8, 1), b = Problems.Random(2, 200);
        LinearOperator A = Operator(kind, M);
        long Bytes(int iterations)
        {
            using var inner = NewDisposeScope();
            long before = GC.GetAllocatedBytesForCurrentThread();
            LsmrResult run = Lsmr.Solve(A, b, new LsmrOptions { MaxIterations = iterations, Atol = 0, Btol = 0, ConditionLimit = 1e300, Audit = false });
            Assert.That(run.Iterations, Is.EqualTo(iterations));
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
        for (int i = 0; i < 100; i++)
            Bytes(20);
        // Two numbers an iteration, in an array that doubles: at most four times their bytes in all, and as much for the estimates' copies.
        Assert.That(Bytes(220) - Bytes(20), Is.LessThan(200 * 2 * 8 * 8));
    }

    [Test]
    public void No_tensor_is_left([Values("dense", "csr", "closures")] string kind)
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(30, 20, 10, 1), b = Problems.Random(2, 30), x = zeros(20, float64);
        LinearOperator A = Operator(kind, M);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Use(A, b, x);
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(before));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Use(LinearOperator A, Tensor b, Tensor x)
    {
        using var workspace = new LsmrWorkspace(A);
        long held = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        workspace.Solve(b, x);
        workspace.Solve(b, x);
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(held));
    }

    [Test]
    public void NaN_in_b_is_reported_and_the_next_solve_is_well()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(30, 20, 10, 1), b = Problems.Random(2, 30), x = zeros(20, float64), bad = b.clone();
        bad[3] = double.NaN;
        using var workspace = new LsmrWorkspace(LinearOperator.FromMatrix(M));
        Assert.That(workspace.Solve(bad, x).Stop, Is.EqualTo(LsmrStop.NonFinite));
        Assert.That(Problems.Values(x), Is.All.NaN);
        Assert.That(workspace.Solve(b, x).Converged);
        Check.Close(x, linalg.lstsq(M, b.unsqueeze(1)).Solution.squeeze(1), 1e-8, "x");
    }

    [Test]
    public void Misuse_throws()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(30, 20, 10, 1), b = Problems.Random(2, 30), x = zeros(20, float64);
        LinearOperator A = LinearOperator.FromMatrix(M);
        Assert.That(() => new LsmrWorkspace(A, new() { Start = x }), Throws.ArgumentException.With.Message.Contains("Start"));
        Assert.That(() => new LsmrWorkspace(A, new() { Preconditioner = LinearOperator.Diagonal(x) }), Throws.ArgumentException);
        Assert.That(() => new LsmrWorkspace(A, new() { Damp = -1 }), Throws.ArgumentException);
        Assert.That(() => new LsmrWorkspace(LinearOperator.FromMatVec(v => M.mv(v), [20], float64)), Throws.ArgumentException.With.Message.Contains("records"));
        using var workspace = new LsmrWorkspace(A);
        Assert.That(() => workspace.Solve(x, x), Throws.ArgumentException.With.Message.Contains("b has shape (20)"));
        Assert.That(() => workspace.Solve(b, b), Throws.ArgumentException.With.Message.Contains("x has shape (30)"));
        Assert.That(() => workspace.Solve(b, zeros(20, float64, requires_grad: true)), Throws.ArgumentException.With.Message.Contains("gradients"));
    }
}
