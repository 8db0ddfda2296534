using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>Sparse tensors as matrices: products, solves and sparse gradients are those of the dense matrix.</summary>
public class SparseTensorTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    public enum Kind { Coalesced, Sorted, Scattered, Csr }

    // TorchSharp makes no CSR tensors.
    private static readonly Lazy<jit.CompilationUnit> script = new(() => jit.compile("""
        def csr(x):
            return x.to_sparse_csr()

        def csc(x):
            return x.to_sparse_csc()

        def csr_of(starts, columns, values, like):
            return torch.sparse_csr_tensor(starts, columns, values, like.size(), dtype=values.dtype)

        def layout(x):
            return x.layout

        def coalesced(x):
            return x.coalesce()

        """));

    /// <summary>Random entries, where not coalesced with repeated places, and the matrix that they are.</summary>
    private static (Tensor Sparse, Tensor Dense) Random(Kind kind, long m, long n, long entries, ScalarType dtype,
        int seed = 1)
    {
        using var generator = new Generator((ulong)seed, CPU);
        Tensor rows = randint(m, [entries], int64, generator: generator),
            columns = randint(n, [entries], int64, generator: generator);
        Tensor values = Problems.Random(seed, entries);
        if (kind == Kind.Sorted) {
            (rows, Tensor order) = rows.sort();
            columns = columns.index_select(0, order);
        }
        Tensor all = sparse_coo_tensor(stack([rows, columns]), values, [m, n]);
        Tensor dense = zeros(m * n, float64).scatter_add(0, rows * n + columns, values).view(m, n);
        Tensor sparse = kind switch {
            Kind.Csr => script.Value.invoke<Tensor>("csr", dense),
            Kind.Coalesced => script.Value.invoke<Tensor>("coalesced", all),
            _ => all,
        };
        return (sparse.to(dtype), dense);
    }

    [Test]
    public void Products_are_those_of_the_dense_matrix([Values] Kind kind,
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype,
        [Values("9x5", "5x9", "1x1", "1x6", "6x1")] string size, [Values(1, 30)] int entries, [Values] bool fromMatrix,
            [Values] bool recorded)
    {
        long[] shape = [.. size.Split('x').Select(long.Parse)];
        (Tensor sparse, Tensor dense) = Random(kind, shape[0], shape[1], entries, dtype);
        if (recorded)
            sparse = sparse.requires_grad_();
        LinearOperator A = fromMatrix ? LinearOperator.FromMatrix(sparse) : LinearOperator.FromSparse(sparse);
        double tolerance = dtype == ScalarType.Float32 ? 1e-5 : 1e-13;
        Tensor v = Problems.Random(2, shape[1]), u = Problems.Random(3, shape[0]);
        Check.Close(A.Apply(v.to(dtype)), dense.mv(v), tolerance, "A v", 1e-3);
        Check.Close(A.ApplyTranspose(u.to(dtype)), dense.t().mv(u), tolerance, "A'u", 1e-3);
        Tensor V = Problems.Random(4, shape[1], 3), U = Problems.Random(5, shape[0], 9);
        Check.Close(A.Apply(V.to(dtype)), dense.mm(V), tolerance, "A V", 1e-3);
        Check.Close(A.ApplyTranspose(U.to(dtype)), dense.t().mm(U), tolerance, "A'U", 1e-3);
        Check.Close(A.T.Apply(u.to(dtype)), dense.t().mv(u), tolerance, "A.T u", 1e-3);
        Assert.DoesNotThrow(() => A.Verify());
    }

    [Test]
    public void Solves_and_sparse_gradients_are_those_of_the_dense_matrix([Values] Kind kind,
        [Values(0.0, 0.5)] double damp,
        [Values] bool isTall, [Values(1, 2)] int order)
    {
        if (order == 2 && damp == 0)
            return;             // of dependent columns the dense case is refused as well
        (long m, long n) = isTall ? (12, 5) : (5, 12);
        (Tensor sparse, Tensor dense) = Random(kind, m, n, 40, float64);
        sparse = sparse.requires_grad_();
        dense = dense.requires_grad_();
        Tensor c = Problems.Random(3, n);
        (Tensor, Tensor) Solve(LinearOperator A)
        {
            Tensor b = Problems.Random(2, m).requires_grad_();
            var options = new LsmrOptions { Damp = damp, Gradient = new() { Order = order } };
            Tensor x = Lsmr.Solve(A, b, options).Solution;
            x.mul(c).sum().backward();
            return (x, b.grad!);
        }
        (Tensor x, Tensor ofB) = Solve(LinearOperator.FromSparse(sparse));
        (Tensor y, Tensor expected) = Solve(LinearOperator.FromMatrix(dense));
        Check.Close(x, y, 1e-8, "x");
        Check.Close(x, Problems.Solve(dense, Problems.Random(2, m), damp, null), 1e-8, "x");
        Check.Close(ofB, expected, 1e-8, "gradient to b");
        Tensor mask = dense.detach().ne(0), gradient = sparse.grad!;
        Assert.That(((Scalar)script.Value.invoke("layout", gradient)).ToInt64(), Is.EqualTo(kind == Kind.Csr ? 2 : 1),
            "layout of the gradient");
        Check.Close(gradient.to_dense(), dense.grad!.mul(mask), 1e-8, "gradient to A");
    }

    [Test]
    public void An_operator_serves_several_solves_and_backward_passes([Values] Kind kind)
    {
        (Tensor sparse, Tensor dense) = Random(kind, 12, 5, 40, float64);
        sparse = sparse.requires_grad_();
        LinearOperator A = LinearOperator.FromSparse(sparse);
        Tensor b = Problems.Random(2, 12);
        Tensor first = null!;
        for (int i = 0; i < 3; i++) {
            sparse.grad = null;
            linalg.lsmr(A, b, 0.3).Solution.sum().backward();
            Tensor found = sparse.grad!.to_dense().clone();
            if (i == 0)
                first = found;
            Check.Close(found, first, 1e-12, $"gradient {i}");
        }
    }

    [Test]
    public void Values_that_change_in_place_are_seen([Values(Kind.Coalesced, Kind.Scattered)] Kind kind)
    {
        (Tensor sparse, Tensor dense) = Random(kind, 12, 5, 40, float64);
        LinearOperator A = LinearOperator.FromSparse(sparse);
        Tensor b = Problems.Random(2, 12), v = Problems.Random(3, 5);
        sparse.SparseValues.mul_(2);
        Check.Close(A.Apply(v), dense.mv(v) * 2, 1e-13, "A v");
        Check.Close(linalg.lsmr(A, b).Solution, Problems.Solve(dense * 2, b, 0, null), 1e-8, "x");
    }

    [Test]
    public void Entries_that_are_replaced_are_refused([Values(Kind.Coalesced, Kind.Scattered)] Kind kind)
    {
        (Tensor sparse, Tensor _) = Random(kind, 12, 5, 40, float64);
        (Tensor other, Tensor _) = Random(Kind.Scattered, 12, 5, 30, float64, seed: 7);
        LinearOperator A = LinearOperator.FromSparse(sparse);
        sparse.add_(other);
        Assert.That(() => A.Apply(ones(5, float64)),
            Throws.ArgumentException.With.Message.Contains("make the operator anew"));
        Assert.That(() => linalg.lsmr(A, ones(12, float64)),
            Throws.ArgumentException.With.Message.Contains("make the operator anew"));
    }

    [Test]
    public void Tensors_without_entries_rows_or_columns_are_matrices([Values("3x2", "0x2", "3x0", "0x0")] string size,
        [Values] bool isCsr)
    {
        long[] shape = [.. size.Split('x').Select(long.Parse)];
        Tensor sparse = isCsr
            ? script.Value.invoke<Tensor>("csr_of", zeros(shape[0] + 1, int64), zeros(0, int64), zeros(0, float64),
            zeros(shape[0], shape[1]))
            : sparse_coo_tensor(zeros(2, 0, int64), zeros(0, float64), shape);
        LinearOperator A = LinearOperator.FromSparse(sparse);
        Check.Close(A.Apply(ones(shape[1], float64)), zeros(shape[0], float64), 0, "A v");
        Check.Close(A.ApplyTranspose(ones(shape[0], float64)), zeros(shape[1], float64), 0, "A'u");
        LsmrResult result = linalg.lsmr(A, ones(shape[0], float64));
        Assert.That(result.Converged);
        Check.Close(result.Solution, zeros(shape[1], float64), 0, "x");
    }

    [Test]
    public void Csr_indices_may_have_32_bits()
    {
        Tensor values = Problems.Random(1, 3);
        Tensor sparse = script.Value.invoke<Tensor>("csr_of", tensor(new[] { 0, 1, 3 }), tensor(new[] { 1, 0, 2 }),
            values, zeros(2, 3));
        Check.Close(LinearOperator.FromSparse(sparse).Apply(eye(3, dtype: float64)), sparse.to_dense(), 1e-15, "A");
    }

    [Test]
    public void What_is_no_sparse_matrix_is_refused()
    {
        void Refused(Func<Tensor> make, string sentence) =>
            Assert.That(() => LinearOperator.FromSparse(make()),
                Throws.ArgumentException.With.Message.Contains(sentence));
        Tensor places = tensor(new long[,] { { 0, 1 }, { 1, 0 } });
        Refused(() => ones(2, 2), "FromMatrix takes a dense one");
        Refused(() => script.Value.invoke<Tensor>("csc", ones(2, 3)), "or of another layout");
        Refused(() => ones(3).to_sparse(), "two dimensions, but the tensor has shape (3)");
        Refused(() => ones(2, 2, 2).to_sparse(), "two dimensions, but the tensor has shape (2, 2, 2)");
        Refused(() => ones(2, 2).to_sparse(1), "a number at each place, but the tensor's values have shape (2, 2)");
        Refused(() => sparse_coo_tensor(places, ones(2, int64), [2, 2]), "float32 or float64, but is Int64");
        Refused(() => sparse_coo_tensor(places, ones(2, bfloat16), [2, 2]), "float32 or float64, but is BFloat16");
        Refused(() => sparse_coo_tensor(places, ones(2, complex64), [2, 2]),
            "float32 or float64, but is ComplexFloat32");
        Assert.That(() => LinearOperator.FromSparse(null!), Throws.ArgumentNullException);
        Assert.That(() => LinearOperator.FromMatrix(script.Value.invoke<Tensor>("csc", ones(2, 3))),
            Throws.ArgumentException);
        Assert.That(() => LinearOperator.Diagonal(ones(3).to_sparse()),
            Throws.ArgumentException.With.Message.Contains("must be a dense tensor"));
        LinearOperator A = LinearOperator.FromMatrix(eye(3));
        Assert.That(() => linalg.lsmr(A, ones(3).to_sparse()),
            Throws.ArgumentException.With.Message.Contains("b must be a dense tensor"));
        Assert.That(() => A.Apply(script.Value.invoke<Tensor>("csr", ones(3, 2))),
            Throws.ArgumentException.With.Message.Contains("v must be a dense tensor"));
    }

    [Test]
    public void Steps_are_fused_as_for_compressed_rows([Values] Kind kind)
    {
        (Tensor sparse, Tensor _) = Random(kind, 30, 20, 200, float64);
        Assert.That(LinearOperator.FromMatrix(sparse).Prepare().Fusion, Is.EqualTo(Fusion.Step));
    }

    [Test]
    public void Preconditioners_take_them([Values] Kind kind)
    {
        (Tensor sparse, Tensor dense) = Random(kind, 400, 4, 900, float64);
        LinearOperator A = LinearOperator.FromMatrix(sparse);
        Tensor b = Problems.Random(2, 400);
        foreach (LinearOperator P in new[] { Preconditioner.ColumnScaling(A), Preconditioner.Sketch(A) })
            Check.Close(Lsmr.Solve(A, b, new LsmrOptions { Preconditioner = P }).Solution,
                Problems.Solve(dense, b, 0, null), 1e-8, "x");
    }

    [Test]
    public void No_tensor_is_left([Values] Kind kind, [Values] bool recorded)
    {
        (Tensor sparse, Tensor _) = Random(kind, 12, 5, 40, float64);
        sparse = sparse.requires_grad_(recorded);
        Tensor b = Problems.Random(2, 12), v = Problems.Random(3, 5);
        Check.LeavesNoTensors(() => {
            using var inner = NewDisposeScope();
            LinearOperator A = LinearOperator.FromSparse(sparse);
            A.Apply(v);
            linalg.lsmr(A, b, 0.1);
        });
        LinearOperator one = LinearOperator.FromSparse(sparse);
        Check.LeavesNoTensors(() => linalg.lsmr(one, b, 0.1).Solution.Dispose());
        Check.LeavesNoTensors(() => one.Apply(v).Dispose());
    }
}
