using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>Each kind of operator against the dense matrix it stands for.</summary>
public class OperatorTests
{
    /// <summary>Name → (operator, the same as a dense matrix on flattened vectors).</summary>
    private static readonly Dictionary<string, Func<ScalarType, (LinearOperator, Tensor)>> Kinds = new() {
        ["dense tall"] = t => { Tensor M = Random(t, 7, 4); return (LinearOperator.FromMatrix(M), M); },
        ["dense wide"] = t => { Tensor M = Random(t, 3, 8); return (LinearOperator.FromMatrix(M), M); },
        ["dense strided"] = t => { Tensor M = Random(t, 8, 10).t()[TensorIndex.Slice(0, 10, 2)]; return (LinearOperator.FromMatrix(M), M); },
        ["dense expanded"] = t => { Tensor M = Random(t, 1, 5).expand(4, 5); return (LinearOperator.FromMatrix(M), M); },
        ["dense 1 x n"] = t => { Tensor M = Random(t, 1, 5); return (LinearOperator.FromMatrix(M), M); },
        ["dense m x 1"] = t => { Tensor M = Random(t, 5, 1); return (LinearOperator.FromMatrix(M), M); },
        ["dense without rows"] = t => { Tensor M = zeros(0, 3, t); return (LinearOperator.FromMatrix(M), M); },
        ["dense without columns"] = t => { Tensor M = zeros(3, 0, t); return (LinearOperator.FromMatrix(M), M); },
        ["csr"] = Csr,
        ["csr with an empty row, a repeated entry and unsorted columns"] = CsrIrregular,
        ["csr without entries"] = t => (LinearOperator.FromCsr(zeros(0, t), zeros(0, int64), zeros(3, int64), 4), zeros(2, 4, t)),
        ["matvec"] = t => { Tensor M = Random(t, 7, 4); return (LinearOperator.FromMatVec(v => M.mv(v), [4], t), M); },
        ["vecmat"] = t => { Tensor M = Random(t, 7, 4); return (LinearOperator.FromVecMat(u => M.t().mv(u), [7], t), M); },
        ["matvec and vecmat"] = t => { Tensor M = Random(t, 7, 4); return (LinearOperator.FromMatVec(v => M.mv(v), u => M.t().mv(u), [4], t), M); },
        ["matvec that returns its argument"] = t => (LinearOperator.FromMatVec(v => v, [2, 3], t), eye(6, dtype: t)),
        ["matvec of a view"] = t => (LinearOperator.FromMatVec(v => v.flip(0).view(3, 2), [6], t), eye(6, dtype: t).flip(0)),
        ["jacobian of a linear function"] = t => { Tensor M = Random(t, 5, 3); return (LinearOperator.Jacobian(z => M.mv(z), Random(t, 3)), M); },
        ["jacobian"] = JacobianOfSine,
        ["identity"] = t => (LinearOperator.Identity([2, 3], t), eye(6, dtype: t)),
        ["diagonal"] = t => { Tensor d = Random(t, 2, 3); return (LinearOperator.Diagonal(d), diag(d.reshape(-1))); },
        ["transpose"] = t => { Tensor M = Random(t, 7, 4); return (LinearOperator.FromMatrix(M).T, M.t()); },
        ["product"] = t => { Tensor M = Random(t, 7, 4), N = Random(t, 4, 5); return (LinearOperator.FromMatrix(M) * LinearOperator.FromMatVec(v => N.mv(v), [5], t), M.mm(N)); },
        ["sum"] = t => { Tensor M = Random(t, 7, 4), N = Random(t, 7, 4).flip(0); return (LinearOperator.FromMatrix(M) + LinearOperator.FromMatVec(v => N.mv(v), [4], t), M.add(N)); },
        ["scaled"] = t => { Tensor M = Random(t, 7, 4); return (-0.5 * LinearOperator.FromMatrix(M), M.mul(-0.5)); },
        ["scaled by a tensor"] = t => { Tensor M = Random(t, 7, 4); return (tensor(0.25, t) * LinearOperator.FromMatrix(M), M.mul(0.25)); },
        ["stack"] = t => { Tensor M = Random(t, 7, 4), d = Random(t, 4); return (LinearOperator.Stack(LinearOperator.FromMatrix(M), 0.5 * LinearOperator.Diagonal(d)), cat([M, diag(d).mul(0.5)])); },
        ["block diagonal"] = t => {
            Tensor M = Random(t, 7, 4), d = Random(t, 2, 3);
            return (LinearOperator.BlockDiagonal(LinearOperator.FromMatrix(M), LinearOperator.Diagonal(d), LinearOperator.FromMatVec(v => v.flip(0), [2], t)),
                block_diag(M, diag(d.reshape(-1)), eye(2, dtype: t).flip(0)));
        },
        ["block diagonal with a part without rows"] = t => {
            Tensor M = Random(t, 7, 4);
            return (LinearOperator.BlockDiagonal(LinearOperator.FromMatrix(zeros(0, 3, t)), LinearOperator.FromMatrix(M)), cat([zeros(7, 3, t), M], 1));
        },
        ["stack of images"] = t => (LinearOperator.Stack(LinearOperator.Identity([2, 3], t), LinearOperator.FromMatVec(v => v[0].add(v[1]), [2, 3], t)),
            cat([eye(6, dtype: t), cat([eye(3, dtype: t), eye(3, dtype: t)], 1)])),
    };

    public static IEnumerable<string> Names => Kinds.Keys;

    [Test]
    public void Products_are_those_of_the_dense_matrix_and_adjoint(
        [ValueSource(nameof(Names))] string name, [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype, [Values] bool prepared)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        (LinearOperator A, Tensor dense) = Kinds[name](dtype);
        LinearOperator products = prepared ? A.Prepare() : A;
        Tensor v = Problems.Random(5, [.. A.InputShape]).to(dtype), u = Problems.Random(6, [.. A.OutputShape]).to(dtype);
        Tensor Av = products.MatVec(v), Atu = products.VecMat(u);

        double tolerance = 20 * Vectors.Epsilon(dtype); // sums of at most ten terms
        Check.Close(Av, dense.mv(v.reshape(-1)).reshape([.. A.OutputShape]), tolerance, "A v", 1);
        Check.Close(Atu, dense.t().mv(u.reshape(-1)).reshape([.. A.InputShape]), tolerance, "A'u", 1);
        double left = Vectors.Dot(Av, u), right = Vectors.Dot(v, Atu);
        Assert.That(left, Is.EqualTo(right).Within(tolerance * (1 + Vectors.Norm(Av) * Vectors.Norm(u))), "<Av, u> = <v, A'u>");
        Assert.That((A.Rows, A.Columns), Is.EqualTo((dense.shape[0], dense.shape[1])));
        Assert.That(A.T.T.InputShape, Is.EqualTo(A.InputShape));
    }

    [Test]
    public void Apply_multiplies_each_column_of_a_block_and_carries_gradients([ValueSource(nameof(Names))] string name)
    {
        using var scope = NewDisposeScope();
        (LinearOperator A, Tensor dense) = Kinds[name](ScalarType.Float64);
        Tensor V = Problems.Random(5, [.. A.InputShape, 3]).requires_grad_(), U = Problems.Random(6, [.. A.OutputShape, 3]).requires_grad_();
        Tensor AV = A.Apply(V), AtU = A.ApplyTranspose(U);
        double tolerance = 20 * Vectors.Epsilon(ScalarType.Float64); // sums of at most ten terms
        Check.Close(AV, dense.mm(V.reshape(A.Columns, 3)).reshape([.. A.OutputShape, 3]), tolerance, "A V", 1);
        Check.Close(AtU, dense.t().mm(U.reshape(A.Rows, 3)).reshape([.. A.InputShape, 3]), tolerance, "A'U", 1);
        Tensor[] gradients = [.. Gradient.Of(AV.sum(), V), .. Gradient.Of(AtU.sum(), U)];
        Check.Close(gradients[0], dense.t().sum(1L, false).reshape([.. A.InputShape]).unsqueeze(-1).expand(V.shape), tolerance, "gradient of V", 1);
        Check.Close(gradients[1], dense.sum(1L, false).reshape([.. A.OutputShape]).unsqueeze(-1).expand(U.shape), tolerance, "gradient of U", 1);
    }

    [Test]
    public void Apply_returns_one_new_tensor_and_leaves_its_argument([ValueSource(nameof(Names))] string name)
    {
        using var scope = NewDisposeScope();
        (LinearOperator A, _) = Kinds[name](ScalarType.Float64);
        Tensor v = Problems.Random(5, [.. A.InputShape]), u = Problems.Random(6, [.. A.OutputShape]);
        double[] before = Problems.Values(v);
        Tensor? Av = null, Atu = null;
        Check.LeavesNoTensors(() => Av = A.Apply(v), 1);
        Check.LeavesNoTensors(() => Atu = A.ApplyTranspose(u), 1);
        Assert.That(Av, Is.Not.SameAs(v));
        Av!.Dispose();
        Atu!.Dispose();
        Assert.That(Problems.Values(v), Is.EqualTo(before));
    }

    [Test]
    public void Making_and_verifying_an_operator_leaves_no_tensors()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Random(1, 4, 3), at = Problems.Random(2, 3);
        Tensor values = ones(2, float64), columns = tensor([0L, 1L]), starts = tensor([0L, 1L, 2L]);
        Check.LeavesNoTensors(() => LinearOperator.FromMatrix(M).Verify());
        Check.LeavesNoTensors(() => LinearOperator.FromMatVec(v => M.mv(v), [3], float64).Verify());
        Check.LeavesNoTensors(() => LinearOperator.Jacobian(z => M.mv(z).sin(), at).Verify());
        Check.LeavesNoTensors(() => LinearOperator.FromCsr(values, columns, starts, 2).Verify(), returned: 3); // its indices
    }

    [Test]
    public void Random_dense_and_csr_operators_are_adjoint()
    {
        CsCheck.Check.Sample(CsCheck.Gen.Select(CsCheck.Gen.Int[1, 30], CsCheck.Gen.Int[1, 30], CsCheck.Gen.Int[0, 1000]), (m, n, seed) => {
            using var scope = NewDisposeScope();
            Tensor M = Problems.Random(seed, m, n), mask = Problems.Random(seed + 1, m, n).gt(0);
            foreach (LinearOperator A in new[] { LinearOperator.FromMatrix(M), Problems.Csr(M.mul(mask)) }) {
                Tensor v = Problems.Random(seed + 2, n), u = Problems.Random(seed + 3, m);
                double left = Vectors.Dot(A.Apply(v), u), right = Vectors.Dot(v, A.ApplyTranspose(u));
                Assert.That(left, Is.EqualTo(right).Within(1e-13 * (m + n) * (1 + Vectors.Norm(u) * Vectors.Norm(v))));
            }
        }, iter: 60, threads: 1, print: sample => sample.ToString());
    }

    [Test]
    public void Gradients_of_products_reach_what_the_operator_uses()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Random(1, 3, 4).requires_grad_(), v = Problems.Random(2, 4).requires_grad_(), u = Problems.Random(3, 3);
        foreach (LinearOperator A in new[] { LinearOperator.FromMatrix(M), LinearOperator.FromMatVec(z => M.mv(z), [4], ScalarType.Float64) }) {
            Tensor[] found = Gradient.Of(A.Apply(v).mul(u).sum(), M, v);
            Check.Close(found[0], u.outer(v), 1e-14, "d<Av, u>/dA");
            Check.Close(found[1], M.t().mv(u), 1e-14, "d<Av, u>/dv");
            Tensor[] transposed = Gradient.Of(A.ApplyTranspose(u).mul(v.detach()).sum(), M);
            Check.Close(transposed[0], u.outer(v), 1e-14, "d<A'u, v>/dA");
        }
    }

    [Test]
    public void A_jacobian_carries_gradients_to_its_point_and_its_function()
    {
        using var scope = NewDisposeScope();
        Tensor W = Problems.Random(1, 5, 3).requires_grad_(), at = Problems.Random(2, 3).requires_grad_();
        Tensor v = Problems.Random(3, 3), u = Problems.Random(4, 5);
        LinearOperator J = LinearOperator.Jacobian(z => W.mv(z).sin(), at);
        // <J v, u> = sum_i u_i cos(W at)_i (W v)_i
        Tensor expected = W.mv(at).cos().mul(W.mv(v)).mul(u).sum();
        Tensor[] truth = Gradient.Of(expected, W, at);
        foreach (Tensor value in new[] { J.Apply(v).mul(u).sum(), J.ApplyTranspose(u).mul(v).sum() }) {
            Tensor[] found = Gradient.Of(value, W, at);
            Check.Close(value, expected, 1e-14, "<J v, u>");
            Check.Close(found[0], truth[0], 1e-13, "d<Jv, u>/dW");
            Check.Close(found[1], truth[1], 1e-13, "d<Jv, u>/d at");
        }
        using Tensor? untouched = at.grad;
        Assert.That(untouched, Is.Null, "at.grad is the user's");
    }

    private static Tensor Random(ScalarType dtype, params long[] shape) => Problems.Random(shape[0] * 31 + shape.Length, shape).to(dtype);

    private static (LinearOperator, Tensor) Csr(ScalarType dtype)
    {
        Tensor M = Random(dtype, 7, 5);
        M = M.mul(M.gt(0));
        return (Problems.Csr(M), M);
    }

    private static (LinearOperator, Tensor) CsrIrregular(ScalarType dtype)
    {
        Tensor values = tensor([1.0, 2.0, 3.0, 4.0], dtype), columns = tensor([2, 0, 1, 1]), starts = tensor([0L, 2L, 2L, 4L]);
        Tensor dense = tensor([2.0, 0, 1, 0, 0, 0, 0, 7, 0], dtype).view(3, 3);
        return (LinearOperator.FromCsr(values, columns, starts, 3), dense);
    }

    private static (LinearOperator, Tensor) JacobianOfSine(ScalarType dtype)
    {
        Tensor W = Random(dtype, 5, 6), at = Random(dtype, 2, 3);
        return (LinearOperator.Jacobian(z => W.mv(z.reshape(-1)).sin(), at), W.mv(at.reshape(-1)).cos().unsqueeze(1).mul(W));
    }
}
