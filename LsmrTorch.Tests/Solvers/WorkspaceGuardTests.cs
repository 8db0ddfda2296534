using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>A workspace solves one right-hand side at a time, and none once it is disposed.</summary>
public class WorkspaceGuardTests
{
    private static Tensor M => Problems.Matrix(30, 20, 10, 1);

    private static Tensor b => Problems.Random(2, 30);

    private static LinearOperator A => LinearOperator.FromMatrix(M);

    [Test]
    public void A_solve_from_its_own_StopWhen_is_refused_and_the_outer_one_is_right()
    {
        using var scope = NewDisposeScope();
        LsmrWorkspace workspace = null!;
        Tensor x = zeros(20, float64), y = zeros(20, float64);
        int refused = 0;
        workspace = new LsmrWorkspace(A, new LsmrOptions {
            StopWhen = _ => {
                Assert.That(() => workspace.Solve(b * 2, y),
                    Throws.InvalidOperationException.With.Message.Contains("one right-hand side at a time"));
                Assert.That(workspace.Dispose, Throws.InvalidOperationException);
                refused++;
                return false;
            },
        });
        using (workspace) {
            Assert.That(workspace.Solve(b, x).Converged);
            Assert.That(refused, Is.GreaterThan(2));
            Check.Close(x, Problems.Solve(M, b, 0, null), 1e-8, "x");
            Assert.That(Problems.Values(y), Is.All.Zero);
        }
    }

    [Test]
    public void A_solve_on_another_thread_meanwhile_is_refused()
    {
        using var scope = NewDisposeScope();
        using var inside = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        Tensor x = zeros(20, float64), y = zeros(20, float64), other = b.clone();
        using var workspace = new LsmrWorkspace(A, new LsmrOptions {
            StopWhen = _ => {
                inside.Set();
                go.Wait(TimeSpan.FromSeconds(30));
                return false;
            },
        });
        Exception? failure = null;
        bool entered = false;
        var second = new Thread(() => {
            entered = inside.Wait(TimeSpan.FromSeconds(30));
            try {
                workspace.Solve(other, y);
            } catch (Exception found) {
                failure = found;
            }
            go.Set();
        });
        second.Start();
        LsmrColumn here = workspace.Solve(b, x);
        second.Join();
        Assert.That(entered);
        Assert.That(failure, Is.TypeOf<InvalidOperationException>());
        Assert.That(here.Converged);
        Check.Close(x, Problems.Solve(M, b, 0, null), 1e-8, "x");
        Assert.That(Problems.Values(y), Is.All.Zero);
        workspace.Solve(other, y);
        Check.Close(y, x, 1e-14, "the next solve");
    }

    [Test]
    public void A_solve_after_a_failure_is_well()
    {
        using var scope = NewDisposeScope();
        int calls = 0;
        Tensor x = zeros(20, float64);
        using var cancelled = new CancellationTokenSource();
        using var workspace = new LsmrWorkspace(A, new LsmrOptions {
            StopWhen = _ => ++calls == 3 ? throw new TimeoutException() : calls == 6 && Cancel(),
            CancellationToken = cancelled.Token,
        });
        bool Cancel()
        {
            cancelled.Cancel();
            return false;
        }
        Assert.That(() => workspace.Solve(b, x), Throws.TypeOf<TimeoutException>());
        Assert.That(() => workspace.Solve(b, x), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(() => workspace.Solve(x, x), Throws.ArgumentException);
        using var free = new LsmrWorkspace(A);
        Assert.That(() => free.Solve(x, x), Throws.ArgumentException);
        free.Solve(b, x);
        Check.Close(x, Problems.Solve(M, b, 0, null), 1e-8, "x");
    }

    [Test]
    public void After_Dispose_it_says_so()
    {
        using var scope = NewDisposeScope();
        Tensor x = zeros(20, float64);
        var workspace = new LsmrWorkspace(A);
        workspace.Solve(b, x);
        workspace.Dispose();
        workspace.Dispose();
        Assert.That(() => workspace.Solve(b, x), Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void An_output_with_shared_places_is_refused_and_any_other_view_is_written()
    {
        using var scope = NewDisposeScope();
        Tensor expected = Problems.Solve(M, b, 0, null);
        using var workspace = new LsmrWorkspace(A);
        Assert.That(() => workspace.Solve(b, zeros(1, float64).expand(20)),
            Throws.ArgumentException.With.Message.Contains("a place in memory for each entry"));
        Tensor overlapping = zeros(24, float64).unfold(0, 5, 1);
        using var wide = new LsmrWorkspace(LinearOperator.FromMatVec(v => v, u => u, [20, 5], float64));
        Assert.That(() => wide.Solve(ones(20, 5, float64), overlapping),
            Throws.ArgumentException.With.Message.Contains("a place in memory for each entry"));
        Tensor all = zeros(41, float64), views = all[TensorIndex.Slice(1, 41, 2)];
        workspace.Solve(b, views);
        Check.Close(views, expected, 1e-8, "x of every second place");
        Check.Close(all[TensorIndex.Slice(0, 41, 2)], zeros(21, float64), 0, "the places between");
        Tensor transposed = zeros(5, 20, float64).t();
        wide.Solve(ones(20, 5, float64), transposed);
        Check.Close(transposed, ones(20, 5, float64), 1e-8, "x of a transposed view");
        Tensor both = zeros(50, float64);
        both[TensorIndex.Slice(0, 30)] = b;
        workspace.Solve(both[TensorIndex.Slice(0, 30)], both[TensorIndex.Slice(10, 30)]);
        Check.Close(both[TensorIndex.Slice(10, 30)], expected, 1e-8, "x in the memory of b");
        Tensor repeated = full(1, 2.0, float64).expand(30);
        Tensor x = zeros(20, float64);
        workspace.Solve(repeated, x);
        Check.Close(x, Problems.Solve(M, full(30, 2.0, float64), 0, null), 1e-8, "x of an expanded b");
    }

    [Test]
    public void A_disposed_warm_start_is_refused_and_its_backward_pass_goes_on()
    {
        using var scope = NewDisposeScope();
        Tensor rhs = b.clone().requires_grad_();
        var warm = new WarmStart();
        var options = new LsmrOptions { Damp = 0.1, WarmStart = warm };
        Tensor x = Lsmr.Solve(A, rhs, options).Solution;
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        warm.Dispose();
        Assert.That(() => Lsmr.Solve(A, rhs, options), Throws.TypeOf<ObjectDisposedException>());
        x.sum().backward();
        Tensor other = b.clone().requires_grad_();
        Lsmr.Solve(A, other, options with { WarmStart = null }).Solution.sum().backward();
        Check.Close(rhs.grad!, other.grad!, 1e-8, "gradient");
        Assert.That(before, Is.GreaterThan(0));
    }
}
