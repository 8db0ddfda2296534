using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>
/// Sizes of zero and below, tensors without numbers, other dtypes, and sparse gradients: right, or refused with the
/// rule.
/// </summary>
public class TensorKindTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static void Refused(TestDelegate action, string sentence) =>
        Assert.That(action, Throws.ArgumentException.With.Message.Contains(sentence));

    [Test]
    public void Sizes_below_zero_are_refused()
    {
        const string Rule = "must have no size below zero, but is (-1)";
        Refused(() => LinearOperator.Identity([-1]), Rule);
        Refused(() => LinearOperator.FromMatVec(v => v, [-1]), Rule);
        Refused(() => LinearOperator.FromMatVec(v => v, u => u, [-1]), Rule);
        Refused(() => LinearOperator.FromVecMat(u => u, [-1]), Rule);
        Refused(() => LinearOperator.Identity([3, -2]), "(3, -2)");
        Refused(() => LinearOperator.Identity([1L << 40, 1L << 40]), "must have at most");
        Tensor starts = zeros(3, int64), none = zeros(0, int64);
        Refused(() => LinearOperator.FromCsr(zeros(0), none, starts, -1),
            "must not have fewer columns than 0, but is to have -1");
        Refused(() => LinearOperator.FromCsr(ones(1), zeros(1, int64), tensor(new long[] { 0, 1 }), 0),
            "A matrix without columns has no values, but there are 1");
        Refused(() => LinearOperator.FromRowBlocks((p, _, count) => zeros(count, 2), [], -1, 1),
            "at least 1 row, but has -1");
        Refused(() => LinearOperator.FromRowBlocks((p, _, count) => zeros(count, 2), [], 0, 1),
            "at least 1 row, but has 0");
    }

    private static LinearOperator Empty(string kind) => kind switch {
        "no columns" => LinearOperator.FromMatrix(zeros([3, 0])),
        "no rows" => LinearOperator.FromMatrix(zeros(0, 3)),
        "identity" => LinearOperator.Identity([0]),
        "diagonal" => LinearOperator.Diagonal(zeros(0)),
        "csr" => LinearOperator.FromCsr(zeros(0), zeros(0, int64), zeros(4, int64), 0),
        "csr rows" => LinearOperator.FromCsr(zeros(0), zeros(0, int64), zeros(1, int64), 2),
        "closure" => LinearOperator.FromMatVec(v => zeros([3L]).add(v.sum(), 1), u => zeros(new long[] { 0 }), [0]),
        "recorded" => LinearOperator.FromMatVec(v => v.mul(2), [0]),
        "row blocks" => LinearOperator.FromRowBlocks((p, _, count) => zeros([count, 0]), [], 3, 2),
        "jacobian" => LinearOperator.Jacobian(x => x.mul(x), zeros(0)),
        "sum" => LinearOperator.FromMatrix(zeros([3, 0])) + LinearOperator.FromMatrix(zeros([3, 0])),
        "stack" => LinearOperator.Stack(LinearOperator.FromMatrix(zeros([3, 0])), LinearOperator.Identity([0])),
        "block" => LinearOperator.BlockDiagonal(LinearOperator.FromMatrix(zeros([3, 0])), LinearOperator.Identity([0])),
        _ => LinearOperator.FromMatrix(zeros([3, 0])) * LinearOperator.FromMatrix(zeros(0, 2)),
    };

    [Test]
    public void Sizes_of_zero_are_sizes(
        [Values("no columns", "no rows", "identity", "diagonal", "csr", "csr rows", "closure", "recorded", "row blocks",
            "jacobian",
        "sum", "stack", "block", "product")] string kind, [Values(0.0, 0.5)] double damp)
    {
        LinearOperator A = Empty(kind);
        Tensor v = ones([.. A.InputShape]), u = ones([.. A.OutputShape]);
        Check.Close(A.Apply(v), zeros([.. A.OutputShape]), 0, "A v");
        Check.Close(A.ApplyTranspose(u), zeros([.. A.InputShape]), 0, "A'u");
        LsmrResult result = linalg.lsmr(A, u, damp);
        Assert.That(result.Converged, result.ToString());
        Check.Close(result.Solution, zeros([.. A.InputShape]), 0, "x");
        CraigmrResult dual = Craigmr.Solve(A, u, new CraigmrOptions { Damp = 0.5 });
        Check.Close(dual.Multiplier, u * 4, 1e-6, "y of CRAIGMR");
        if (!A.Records) {
            using var workspace = new LsmrWorkspace(A);
            Tensor x = ones([.. A.InputShape]);
            workspace.Solve(u, x);
            Check.Close(x, zeros([.. A.InputShape]), 0, "x of the workspace");
        }
    }

    [Test]
    public void Right_hand_sides_without_columns_are_refused()
    {
        LinearOperator A = LinearOperator.FromMatrix(ones(3, 2));
        Refused(() => linalg.lsmr(A, zeros([3, 0])), "b has shape (3, 0)");
        Refused(() => Craigmr.Solve(A, zeros([3, 0])), "b has shape (3, 0)");
        Refused(() => A.Apply(zeros([2, 0])), "v has shape (2, 0)");
    }

    [Test]
    public void Tensors_without_numbers_are_refused()
    {
        var meta = new Device(DeviceType.META);
        const string Rule = "must lie where there are numbers, but its device is meta";
        Refused(() => LinearOperator.FromMatrix(ones(2, 2, device: meta)), Rule);
        Refused(() => LinearOperator.Diagonal(ones(2, device: meta)), Rule);
        Refused(() => LinearOperator.Identity([2], device: meta), Rule);
        Refused(() => LinearOperator.FromMatVec(v => v, [2], device: meta), Rule);
        Refused(() => LinearOperator.Jacobian(v => v, ones(2, device: meta)), Rule);
        Refused(() => LinearOperator.FromRowBlocks((p, f, c) => p[0], [ones(1, 2, device: meta)], 1, 1), Rule);
        Refused(() => LinearOperator.FromCsr(ones(1, device: meta), zeros(1, int64, device: meta),
            tensor(new long[] { 0, 1 }), 1), Rule);
        Refused(() => LinearOperator.FromCsr(ones(1), zeros(1, int64, device: meta), tensor(new long[] { 0, 1 }), 1),
            Rule);
        Refused(() => linalg.lsmr(LinearOperator.Identity([2]), ones(2, device: meta)), "b lies on meta");
        Refused(() => linalg.lsmr(LinearOperator.Identity([2]), ones(2), tensor(1f, device: meta)), Rule);
        Refused(() => _ = tensor(1f).to(meta) * LinearOperator.Identity([2]), Rule);
    }

    [Test]
    public void Half_precision_and_complex_tensors_are_refused(
        [Values(ScalarType.BFloat16, ScalarType.Float16, ScalarType.ComplexFloat32)] ScalarType dtype)
    {
        string rule = $"must be float32 or float64, but is {dtype}";
        Tensor M = ones(2, 2).to(dtype), v = ones(2).to(dtype);
        Refused(() => LinearOperator.FromMatrix(M), rule);
        Refused(() => LinearOperator.Diagonal(v), rule);
        Refused(() => LinearOperator.Identity([2], dtype), rule);
        Refused(() => LinearOperator.FromMatVec(x => x, [2], dtype), rule);
        Refused(() => LinearOperator.Jacobian(x => x, v), rule);
        Refused(() => LinearOperator.FromCsr(v, zeros(2, int64), tensor(new long[] { 0, 2 }), 1), rule);
        Refused(() => LinearOperator.FromRowBlocks((p, first, count) => p[0].narrow(0, first, count), [M], 2, 1), rule);
        LinearOperator A = LinearOperator.Identity([2]);
        Refused(() => linalg.lsmr(A, v), $"b has dtype {dtype} but the operator has Float32");
        Refused(() => linalg.lsmr(A, ones(2), x0: v), $"x0 has dtype {dtype} but the operator has Float32");
        Refused(() => linalg.lsmr(A, ones(2), damp: v[0]), rule);
        Refused(() => Craigmr.Solve(A, v), $"b has dtype {dtype}");
        Refused(() => A.Apply(v), $"v has dtype {dtype}");
        LinearOperator wrong = LinearOperator.FromMatVec(x => x.to(dtype), x => x.to(dtype), [2]);
        Refused(() => wrong.Apply(ones(2)), $"The matvec closure returned {dtype}");
        Refused(() => LinearOperator.Jacobian(x => x.to(dtype), ones(2)), $"but returned {dtype}");
        if (dtype == ScalarType.ComplexFloat32)
            Refused(() => _ = v[0] * A, "must be real");
    }

    [Test]
    public void Gradients_to_parameters_of_half_precision_are_summed_in_the_operators([Values] bool hasBlocks)
    {
        Tensor full = Problems.Matrix(600, 3, 3, 1).to(bfloat16), b = Problems.Random(2, 600).to(float32);
        Tensor Gradient(Tensor p)
        {
            LinearOperator A = hasBlocks
                ? LinearOperator.FromRowBlocks((all, first, count) =>
                (all[0].to(float32) * all[1].to(float32)).narrow(0, first, count), [full.to(p.dtype), p], 600, 1)
                : LinearOperator.FromMatVec(v => (full.to(float32) * p.to(float32)).mv(v), [3]);
            linalg.lsmr(A, b, 0.1).Solution.sum().backward();
            return p.grad!;
        }
        Tensor one = ones(1, bfloat16).requires_grad_(), exact = ones(1, float32).requires_grad_();
        Assert.That(Gradient(one).dtype, Is.EqualTo(ScalarType.BFloat16));
        Check.Close(one.grad!, Gradient(exact), 8e-3, "gradient");      // one rounding to 8 bits
    }

    [Test]
    public void Sparse_gradients_of_an_embedding_reach_it_and_pass_through()
    {
        Tensor places = tensor(new long[] { 0, 3, 3, 1, 4 }), c = Problems.Random(1, 5);
        Tensor start = Problems.Random(2, 5, 2), u = Problems.Random(3, 5, 2);
        using var sparse = nn.Embedding_from_pretrained(start.clone(), freeze: false, sparse: true);
        using var dense = nn.Embedding_from_pretrained(start.clone(), freeze: false, sparse: false);
        Tensor Solve(TorchSharp.Modules.Embedding table)
        {
            LinearOperator A = LinearOperator.FromMatVec(v => table.call(places).mv(v), [2], float64);
            Tensor x = linalg.lsmr(A, c, 0.2).Solution;
            x.sum().backward();
            return x;
        }
        Check.Close(Solve(sparse), Solve(dense), 1e-10, "x");
        Assert.That(sparse.weight!.grad!.is_sparse, "the embedding's gradient is sparse, as asked");
        Check.Close(sparse.weight!.grad!.to_dense(), dense.weight!.grad!, 1e-10, "gradient");

        var script = jit.compile("""
            def look(w, i):
                return torch.embedding(w, i, -1, False, True)

            """);
        LinearOperator J = LinearOperator.Jacobian(w => script.invoke<Tensor>("look", w, places).pow(2), start);
        LinearOperator plain = LinearOperator.Jacobian(w => w.index_select(0, places).pow(2), start);
        Check.Close(J.ApplyTranspose(u), plain.ApplyTranspose(u), 1e-13, "J'u");
        Check.Close(J.Apply(start), plain.Apply(start), 1e-13, "J v");
        Check.Close(linalg.lsmr(J, u, 0.1).Solution, linalg.lsmr(plain, u, 0.1).Solution, 1e-9, "x");
        LinearOperator map = LinearOperator.FromMatVec(w => script.invoke<Tensor>("look", w, places), [5, 2], float64);
        Check.Close(map.ApplyTranspose(u), zeros(5, 2, float64).index_add(0, places, u, 1), 1e-13, "A'u of a look-up");
        Check.Close(linalg.lsmr(map, u, 0.1).Solution,
            linalg.lsmr(LinearOperator.FromMatVec(w => w.index_select(0, places), [5, 2], float64), u, 0.1).Solution,
                1e-9, "x of a look-up");
    }
}
