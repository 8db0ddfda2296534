using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>
/// A tensor with libtorch's negative bit lies in memory with its sign reversed, and a view of a complex tensor every
/// other number: they are matrices, vectors and products like any other.
/// </summary>
public class NegativeBitTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    /// <summary>
    /// The numbers of x with the negative bit; contiguous where there is one entry (or one in all but the last
    /// dimension).
    /// </summary>
    private static Tensor Negative(Tensor x)
    {
        ScalarType dtype = x.dtype;
        Tensor view = complex(zeros_like(x), x.neg()).conj().imag;
        Assert.That(view.is_neg() && view.dtype == dtype);
        return view;
    }

    private static readonly ScalarType[] dtypes = [ScalarType.Float32, ScalarType.Float64];

    [Test]
    public void A_matrix_of_one_column_is_solved_with_its_sign([ValueSource(nameof(dtypes))] ScalarType dtype,
        [Values(1, 2, 5)] int rows)
    {
        Tensor M = arange(1, rows + 1).to(dtype).reshape(rows, 1), b = M.reshape(-1).mul(-3);
        Tensor A = complex(ones(rows, 1, dtype), M).conj().imag;        // -M
        Tensor x = linalg.lsmr(LinearOperator.FromMatrix(A), b).Solution;
        Check.Close(x, tensor(new double[] { 3.0 }).to(dtype), 1e-6, "x");
    }

    [Test]
    public void Matrices_of_every_shape_and_layout_are_solved([ValueSource(nameof(dtypes))] ScalarType dtype,
        [Values("12x5", "1x1", "7x1", "1x7", "5x12")] string size, [Values] bool isTransposed,
            [Values(0.0, 0.5)] double damp)
    {
        long[] shape = [.. size.Split('x').Select(long.Parse)];
        Tensor M = Problems.Matrix(shape[0], shape[1], 5, 1), b = Problems.Random(2, shape[0]);
        Tensor A = Negative((isTransposed ? M.t().contiguous() : M).to(dtype));
        LinearOperator op = LinearOperator.FromMatrix(isTransposed ? A.t() : A);
        Tensor x = linalg.lsmr(op, b.to(dtype), damp).Solution;
        Check.Close(x, Problems.Solve(M, b, damp, null), dtype == ScalarType.Float32 ? 1e-4 : 1e-8, "x");
        Tensor v = Problems.Random(3, shape[1]), u = Problems.Random(4, shape[0]);
        Check.Close(op.Apply(v.to(dtype)), M.mv(v), 1e-5, "A v");
        Check.Close(op.ApplyTranspose(u.to(dtype)), M.t().mv(u), 1e-5, "A'u");
        Check.Close(op.Apply(stack([v, v], 1).to(dtype)), stack([M.mv(v), M.mv(v)], 1), 1e-5, "A V");
    }

    [Test]
    public void Right_hand_sides_and_starts_are_read_with_their_sign([ValueSource(nameof(dtypes))] ScalarType dtype,
        [Values("6x4", "1x1", "4x1")] string size, [Values(0.0, 0.5)] double damp, [Values] bool isPreconditioned)
    {
        long[] shape = [.. size.Split('x').Select(long.Parse)];
        Tensor M = Problems.Matrix(shape[0], shape[1], 5, 1), b = Problems.Random(2, shape[0]),
            x0 = Problems.Random(3, shape[1]);
        LinearOperator A = LinearOperator.FromMatrix(M.to(dtype));
        var options = new LsmrOptions {
            Damp = damp,
            Start = Negative(x0.to(dtype)),
            Preconditioner = isPreconditioned ? Preconditioner.ColumnScaling(A, damp) : null,
        };
        Tensor x = Lsmr.Solve(A, Negative(b.to(dtype)), options).Solution;
        Check.Close(x, Problems.Solve(M, b, damp, x0), dtype == ScalarType.Float32 ? 1e-4 : 1e-8, "x");
        CraigmrResult run = Craigmr.Solve(A.T, Negative(x0.to(dtype)), new CraigmrOptions { Damp = 1 });
        Tensor expected = M.mv(linalg.inv(M.t().mm(M) + eye(shape[1], dtype: float64)).mv(x0));
        Check.Close(run.Solution, expected, 1e-4, "CRAIGMR's x");
    }

    [Test]
    public void Sparse_values_are_read_with_their_sign([ValueSource(nameof(dtypes))] ScalarType dtype,
        [Values(1, 6)] int entries)
    {
        Tensor columns = arange(entries).to(int64) % 3,
            starts = tensor(entries == 1 ? new long[] { 0, 1 } : [0, 2, 4, 6]);
        Tensor values = Problems.Random(1, entries), v = Problems.Random(2, 3);
        LinearOperator A = LinearOperator.FromCsr(Negative(values.to(dtype)), columns, starts, 3);
        LinearOperator plain = LinearOperator.FromCsr(values, columns, starts, 3);
        Check.Close(A.Apply(v.to(dtype)), plain.Apply(v), 1e-6, "A v");
        Check.Close(A.Apply(Negative(v.to(dtype))), plain.Apply(v), 1e-6, "A of a vector with the bit");
        Check.Close(plain.Apply(Negative(v)), plain.Apply(v), 1e-14, "A of a vector with the bit");
        Tensor b = Problems.Random(3, entries == 1 ? 1 : 3);
        Check.Close(linalg.lsmr(A, b.to(dtype)).Solution, linalg.lsmr(plain, b).Solution, 1e-4, "x");
    }

    [Test]
    public void One_entry_vectors_with_the_bit_go_through_every_product([ValueSource(nameof(dtypes))] ScalarType dtype)
    {
        Tensor M = tensor(new double[,] { { 2 } }, dtype), v = Negative(tensor(new double[] { 3.0 }).to(dtype));
        Assert.That(v.is_contiguous() && v.is_neg());
        LinearOperator[] all = [
            LinearOperator.FromMatrix(M), LinearOperator.FromMatrix(M.t()), LinearOperator.Diagonal(M.reshape(-1)),
            LinearOperator.FromCsr(M.reshape(-1), zeros(1, int64), tensor(new long[] { 0, 1 }), 1),
            2 * LinearOperator.Identity([1], dtype),
            LinearOperator.FromMatVec(x => x.mul(M.reshape(-1)), [1], dtype),
            LinearOperator.FromRowBlocks((p, _, _) => p[0], [M], 1, 1),
            LinearOperator.FromMatrix(M) * LinearOperator.Identity([1], dtype),
        ];
        foreach (LinearOperator A in all) {
            Check.Close(A.Apply(v), tensor(new double[] { 6.0 }), 1e-7, $"{A}, A v");
            Check.Close(A.ApplyTranspose(v), tensor(new double[] { 6.0 }), 1e-7, $"{A}, A'v");
            Check.Close(linalg.lsmr(A, v).Solution, tensor(new double[] { 1.5 }), 1e-6, $"{A}, x");
        }
    }

    [Test]
    public void A_closure_may_return_such_views([ValueSource(nameof(dtypes))] ScalarType dtype, [Values(1, 4)] int n,
        [Values] bool hasTranspose)
    {
        Tensor M = Problems.Matrix(n, n, 3, 1), b = Problems.Random(2, n), same = M.to(dtype);
        Func<Tensor, Tensor> matvec = v => Negative(same.mv(v)), vecmat = u => Negative(same.t().mv(u));
        LinearOperator A = hasTranspose
            ? LinearOperator.FromMatVec(matvec, vecmat, [n], dtype)
            : LinearOperator.FromMatVec(matvec, [n], dtype);
        Check.Close(linalg.lsmr(A, b.to(dtype)).Solution, linalg.solve(M, b), 1e-4, "x");
        Check.Close((A + A).Apply(b.to(dtype)), M.mv(b).mul(2), 1e-5, "(A + A) v");
        Check.Close((LinearOperator.FromMatrix(same) * A).Apply(b.to(dtype)), M.mv(M.mv(b)), 1e-5, "M A v");
    }

    [Test]
    public void Row_blocks_may_be_such_views([ValueSource(nameof(dtypes))] ScalarType dtype, [Values(1, 2)] int n)
    {
        Tensor M = Problems.Matrix(6, n, 3, 1), b = Problems.Random(2, 6), same = M.to(dtype);
        LinearOperator A = LinearOperator.FromRowBlocks((p, first, count) => Negative(p[0].narrow(0, first, count)),
            [same], 6, 1);
        Check.Close(linalg.lsmr(A, b.to(dtype)).Solution, Problems.Solve(M, b, 0, null), 1e-4, "x");
    }

    [Test]
    public void A_workspace_reads_and_writes_with_the_sign([ValueSource(nameof(dtypes))] ScalarType dtype,
        [Values("5x3", "1x1", "3x1")] string size)
    {
        long[] shape = [.. size.Split('x').Select(long.Parse)];
        Tensor M = Problems.Matrix(shape[0], shape[1], 3, 1), b = Problems.Random(2, shape[0]),
            x = Negative(zeros(shape[1], dtype));
        using var workspace = new LsmrWorkspace(LinearOperator.FromMatrix(M.to(dtype)));
        Assert.That(workspace.Solve(Negative(b.to(dtype)), x).Converged);
        Check.Close(x.clone(), Problems.Solve(M, b, 0, null), 1e-4, "x");
        using var other = new LsmrWorkspace(LinearOperator.FromMatrix(Negative(M.to(dtype))));
        Tensor plain = zeros(shape[1], dtype);
        other.Solve(b.to(dtype), plain);
        Check.Close(plain, Problems.Solve(M, b, 0, null), 1e-4, "x");
    }

    [Test]
    public void Sketches_and_scalings_of_such_matrices_are_right([ValueSource(nameof(dtypes))] ScalarType dtype)
    {
        Tensor M = Problems.Matrix(400, 1, 1, 1), b = Problems.Random(2, 400);
        LinearOperator A = LinearOperator.FromMatrix(Negative(M.to(dtype)));
        foreach (LinearOperator P in new[] { Preconditioner.Sketch(A), Preconditioner.ColumnScaling(A) }) {
            LsmrResult result = Lsmr.Solve(A, b.to(dtype), new LsmrOptions { Preconditioner = P });
            Check.Close(result.Solution, Problems.Solve(M, b, 0, null), 1e-4, "x");
        }
    }

    [Test]
    public void Gradients_through_such_tensors_are_those_of_their_numbers()
    {
        Tensor M = Problems.Matrix(6, 1, 1, 1), b = Problems.Random(2, 6);
        (double, double) Gradients(bool isNegative)
        {
            Tensor A = M.clone().requires_grad_(), rhs = b.clone().requires_grad_();
            LinearOperator op = LinearOperator.FromMatrix(isNegative ? Negative(A) : A);
            Tensor x = linalg.lsmr(op, isNegative ? Negative(rhs) : rhs, 0.3).Solution;
            x.sum().backward();
            return (Vectors.Dot(A.grad!, Problems.Random(3, 6, 1)), Vectors.Dot(rhs.grad!, b));
        }
        ((double a, double c), (double d, double e)) = (Gradients(true), Gradients(false));
        Assert.That(a, Is.EqualTo(d).Within(1e-9));
        Assert.That(c, Is.EqualTo(e).Within(1e-9));
    }
}
