using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>
/// Functions that return null, write to their argument, lose a tensor, throw or return sparse tensors.
/// </summary>
public class UserFunctionTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static void Refused(TestDelegate action, string sentence) =>
        Assert.That(action, Throws.ArgumentException.With.Message.Contains(sentence));

    private static readonly Func<Tensor, Tensor> same = v => v, nothing = _ => null!;

    [Test]
    public void Null_is_refused_with_the_function_named()
    {
        Refused(() => LinearOperator.FromMatVec(nothing, [3]),
            "The matvec closure must return a tensor, but returned null");
        Refused(() => LinearOperator.FromVecMat(nothing, [3]), "must return a tensor, but returned null");
        LinearOperator A = LinearOperator.FromMatVec(same, nothing, [3]);
        Refused(() => A.ApplyTranspose(ones(3)), "The vecmat closure must return a tensor, but returned null");
        Refused(() => linalg.lsmr(A, ones(3)), "The vecmat closure must return a tensor");
        Refused(() => Craigmr.Solve(A, ones(3)), "The vecmat closure must return a tensor");
        int calls = 0;
        LinearOperator later = LinearOperator.FromMatVec(v => calls++ < 1 ? v : null!, [3]);
        Refused(() => later.Apply(ones(3)), "The matvec closure must return a tensor");
        Refused(() => later.ApplyTranspose(ones(3)), "The matvec closure must return a tensor");
        Refused(() => LinearOperator.Jacobian(nothing, ones(3)), "The function of a Jacobian must return a tensor");
        Refused(() => LinearOperator.FromRowBlocks((_, _, _) => null!, [], 3, 1), "row blocks must return a tensor");
        Refused(() => LinearOperator.FromRowBlocks((p, _, _) => p[0], [null!], 3, 1), "must not be null");
        using var workspace = new LsmrWorkspace(A);
        Refused(() => workspace.Solve(ones(3), zeros(3)), "The vecmat closure must return a tensor");
    }

    [Test]
    public void Operators_and_tensors_that_are_null_are_named()
    {
        LinearOperator A = LinearOperator.Identity([3]);
        Tensor s = tensor(2f);
        TestDelegate[] all = [
            () => _ = 2 * (LinearOperator)null!, () => _ = s * (LinearOperator)null!, () => _ = (Tensor)null! * A, () =>
                _ = A + null!,
            () => _ = null! + A, () => _ = A * (LinearOperator)null!, () => LinearOperator.Stack(null!), () =>
                LinearOperator.Stack(A, null!),
            () => LinearOperator.Stack(null!, A), () => LinearOperator.BlockDiagonal(null!), () =>
                LinearOperator.BlockDiagonal(null!, A),
            () => LinearOperator.FromCsr(null!, ones(1), ones(1), 1), () =>
                LinearOperator.FromCsr(ones(1), null!, ones(1), 1),
            () => LinearOperator.FromCsr(ones(1), zeros(1, int64), null!, 1), () => LinearOperator.Diagonal(null!),
            () => LinearOperator.FromMatrix(null!), () => LinearOperator.Jacobian(null!, ones(3)), () =>
                LinearOperator.Jacobian(same, null!),
            () => LinearOperator.FromMatVec(null!, [3]), () => LinearOperator.FromMatVec(same, null!, [3]), () =>
                A.Apply(null!), () => A.ApplyTranspose(null!),
        ];
        for (int i = 0; i < all.Length; i++)
            Assert.That(all[i], Throws.ArgumentNullException, $"number {i}");
    }

    [Test]
    public void A_closure_that_writes_to_its_argument_is_refused()
    {
        Tensor M = Problems.Matrix(5, 5, 3, 1);
        Func<Tensor, Tensor> reads = v => M.mv(v);
        Func<Tensor, Tensor>[] writers = [
            v => M.mv(v.mul_(2)), v => v.mul_(2), v => { Tensor r = M.mv(v); v.zero_(); return r; }, v => v.neg_(),
            v => { v[0] = 0; return M.mv(v); }, v => { v.copy_(v.flip(0)); return v; },
        ];
        foreach (Func<Tensor, Tensor> writes in writers) {
            LinearOperator Of(Func<Tensor, Tensor> matvec, Func<Tensor, Tensor> vecmat) =>
                LinearOperator.FromMatVec(matvec, vecmat, [5], float64);
            Refused(() => Of(writes, reads).Apply(Problems.Random(1, 5)),
                "The matvec closure must not write to its argument");
            Refused(() => linalg.lsmr(Of(writes, reads), Problems.Random(2, 5)), "must not write to its argument");
            Refused(() => linalg.lsmr(Of(reads, writes), Problems.Random(2, 5)),
                "The vecmat closure must not write to its argument");
            Refused(() => linalg.lsmr(Of(reads, writes), Problems.Random(2, 5, 2)), "must not write to its argument");
            Refused(() => Of(reads, writes).Verify(), "must not write to its argument");
        }
    }

    [Test]
    public void A_function_of_a_jacobian_may_write_to_its_argument()
    {
        Tensor at = Problems.Random(1, 4), before = at.clone(), v = Problems.Random(2, 4);
        LinearOperator J = LinearOperator.Jacobian(x => x.mul_(x.clone()), at);
        Check.Close(at, before, 1e-15, "the point");
        Check.Close(J.Apply(v), at * 2 * v, 1e-13, "J v");
        Check.Close(J.ApplyTranspose(v), at * 2 * v, 1e-13, "J'v");
        Check.Close(at, before, 1e-15, "the point");
    }

    [Test]
    public void A_tensor_that_was_made_in_a_call_and_kept_is_explained()
    {
        Tensor? kept = null;
        LinearOperator A = LinearOperator.FromMatVec(v => (kept ??= ones(3)).mul(v), [3]);
        Assert.That(() => A.Apply(ones(3)),
            Throws.InvalidOperationException.With.Message.Contains("DetachFromDisposeScope"));
        Tensor? detached = null;
        LinearOperator B = LinearOperator.FromMatVec(v => (detached ??= full(3, 2).DetachFromDisposeScope()).mul(v),
            [3]);
        Check.Close(B.Apply(ones(3)), full(3, 2), 1e-7, "B v");
        Check.Close(linalg.lsmr(B, ones(3)).Solution, full(3, 0.5), 1e-6, "x");
        detached!.Dispose();
        Assert.That(() => B.Apply(ones(3)), Throws.InvalidOperationException.With.Message.Contains("is disposed"));
        Assert.That(() => linalg.lsmr(B, ones(3)),
            Throws.InvalidOperationException.With.Message.Contains("is disposed"));
    }

    [Test]
    public void What_a_closure_throws_arrives_as_it_is_and_leaves_nothing()
    {
        bool fails = false;
        Tensor M = Problems.Matrix(6, 4, 3, 1), b = Problems.Random(2, 6), x = zeros(4, float64);
        Tensor Try(Tensor v) => fails ? throw new TimeoutException("the sensor is gone") : v;
        LinearOperator A = LinearOperator.FromMatVec(v => M.mv(Try(v)), u => M.t().mv(Try(u)), [4], float64);
        LinearOperator J = LinearOperator.Jacobian(v => M.mv(Try(v)), zeros(4, float64));
        LinearOperator R = LinearOperator.FromRowBlocks((p, first, count) => Try(p[0]).narrow(0, first, count), [M], 6,
            2);
        using var workspace = new LsmrWorkspace(A);
        foreach (LinearOperator op in new[] { A, J, R, A + A, LinearOperator.Stack(A, R) }) {
            Tensor rhs = op.Rows == 6 ? b : cat([b, b]);
            fails = true;
            Check.LeavesNoTensors(() => Assert.That(() => linalg.lsmr(op, rhs), Throws.TypeOf<TimeoutException>()));
            Check.LeavesNoTensors(() => Assert.That(() => op.Apply(x), Throws.TypeOf<TimeoutException>()));
            Assert.That(is_grad_enabled());
            fails = false;
            Assert.That(linalg.lsmr(op, rhs).Converged);
        }
        fails = true;
        Assert.That(() => workspace.Solve(b, x), Throws.TypeOf<TimeoutException>());
        fails = false;
        Assert.That(workspace.Solve(b, x).Converged);
        Check.Close(x, Problems.Solve(M, b, 0, null), 1e-8, "x");
    }

    [Test]
    public void Sparse_results_are_taken_as_dense_ones()
    {
        Tensor M = Problems.Matrix(6, 4, 3, 1), b = Problems.Random(2, 6);
        LinearOperator A = LinearOperator.FromMatVec(v => M.mv(v).to_sparse(), u => M.t().mv(u).to_sparse(), [4],
            float64);
        Check.Close(A.Apply(ones(4, float64)), M.sum(1), 1e-13, "A v");
        Check.Close(linalg.lsmr(A, b).Solution, Problems.Solve(M, b, 0, null), 1e-8, "x");
        LinearOperator R = LinearOperator.FromRowBlocks((p, first, count) => p[0].narrow(0, first, count).to_sparse(),
            [M], 6, 2);
        Check.Close(linalg.lsmr(R, b).Solution, Problems.Solve(M, b, 0, null), 1e-8, "x of row blocks");
    }
}
