using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>What a preconditioner makes of A's columns, of its condition and of the iterations, and that it leaves the answer alone.</summary>
public class PreconditionerTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static readonly double[] Conditions = [1e2, 1e4, 1e6, 1e8, 1e10];

    /// <summary>Name → (operator that knows its columns' norms, the same as a dense matrix).</summary>
    private static readonly Dictionary<string, Func<ScalarType, (LinearOperator, Tensor)>> Exact = new() {
        ["dense"] = t => { Tensor M = Random(t, 7, 4); return (LinearOperator.FromMatrix(M), M); },
        ["dense, of many blocks"] = t => { Tensor M = Random(t, 700, 500); return (LinearOperator.FromMatrix(M), M); },
        ["dense, transposed"] = t => { Tensor M = Random(t, 4, 7).t(); return (LinearOperator.FromMatrix(M), M); },
        ["dense without rows"] = t => { Tensor M = zeros(0, 3, t); return (LinearOperator.FromMatrix(M), M); },
        ["csr"] = t => { Tensor M = Random(t, 7, 4); return (Problems.Csr(M), M); },
        ["csr with a repeated entry"] = t => (
            LinearOperator.FromCsr(tensor(new[] { 3.0, 4, -1, 2 }, t), tensor(new long[] { 1, 0, 1, 1 }), tensor(new long[] { 0, 3, 4 }), 3),
            tensor(new double[,] { { 4, 2, 0 }, { 0, 2, 0 } }, t)),
        ["diagonal"] = t => { Tensor d = Random(t, 2, 3); return (LinearOperator.Diagonal(d), diag(d.reshape(-1))); },
        ["identity"] = t => (LinearOperator.Identity([2, 3], t), eye(6, dtype: t)),
        ["scaled"] = t => { Tensor M = Random(t, 7, 4); return (-0.5 * LinearOperator.FromMatrix(M), M.mul(-0.5)); },
        ["scaled by a tensor"] = t => { Tensor M = Random(t, 7, 4); return (tensor(0.25, t) * LinearOperator.FromMatrix(M), M.mul(0.25)); },
        ["block diagonal"] = t => {
            Tensor M = Random(t, 7, 4), d = Random(t, 2, 3);
            return (LinearOperator.BlockDiagonal(LinearOperator.FromMatrix(M), LinearOperator.Diagonal(d)), block_diag(M, diag(d.reshape(-1))));
        },
        ["stack"] = t => { Tensor M = Random(t, 7, 4), d = Random(t, 4); return (LinearOperator.Stack(LinearOperator.FromMatrix(M), 3 * LinearOperator.Diagonal(d)), cat([M, diag(d).mul(3)])); },
    };

    public static IEnumerable<string> ExactNames => Exact.Keys;

    [Test]
    public void Columns_of_norm_one_come_from_the_entries(
        [ValueSource(nameof(ExactNames))] string name, [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype, [Values(0, 0.3)] double damp)
    {
        (LinearOperator A, Tensor dense) = Exact[name](dtype);
        LinearOperator P = Preconditioner.ColumnScaling(A, damp, probes: 1);

        Tensor squares = dense.to(float64).square().sum(dim: 0) + damp * damp;
        Tensor expected = where(squares == 0, 1, squares.rsqrt()).reshape([.. A.InputShape]);
        Assert.That((P.InputShape, P.OutputShape), Is.EqualTo((A.InputShape, A.InputShape)));
        Check.Close(P.Apply(ones([.. A.InputShape], dtype)), expected.to(dtype), 4 * Vectors.Epsilon(dtype), "P");
    }

    [Test]
    public void Estimated_norms_are_right_on_average_and_deviate_as_documented([Values(8, 32, 128)] int probes)
    {
        const int n = 400;
        Tensor M = Problems.Random(1, 300, n) * Problems.Random(2, n).exp();
        LinearOperator A = LinearOperator.FromMatVec(v => M.mv(v.reshape(-1)), [20, n / 20], float64);
        Tensor ones = torch.ones([20, n / 20], float64);
        Tensor estimate = Preconditioner.ColumnScaling(A, 0, probes).Apply(ones).reshape(-1).pow(-2);
        double[] errors = Problems.Values(estimate / M.square().sum(dim: 0) - 1);

        double deviation = Math.Sqrt(2.0 / probes);
        Assert.That(Math.Sqrt(errors.Average(e => e * e)), Is.EqualTo(deviation).Within(0.15 * deviation), "root mean square");
        Assert.That(errors.Average(), Is.EqualTo(0).Within(5 * deviation / Math.Sqrt(n)), "mean");
    }

    [Test]
    public void Scaling_the_columns_undoes_a_scaling_of_the_columns()
    {
        Tensor M = Problems.Matrix(60, 20, 10, 1), scales = pow(10, linspace(-6, 6, 20, float64)), b = Problems.Random(2, 60);
        LinearOperator A = LinearOperator.FromMatrix(M * scales);
        using var guard = no_grad();
        LinearOperator P = Preconditioner.ColumnScaling(A);
        LsmrResult result = Lsmr.Solve(A * P, b, new LsmrOptions { Atol = 1e-13, Btol = 1e-13 });
        Assert.That(result.Iterations, Is.LessThan(80));
        Tensor expected = Problems.Solve(M, b, 0, null);
        Check.Close(P.Apply(result.Solution) * scales, expected, 1e-10, "x");
        LsmrResult plain = Lsmr.Solve(A, b, new LsmrOptions { Audit = false });
        Assert.That(Vectors.Norm(plain.Solution * scales - expected), Is.GreaterThan(0.1 * Vectors.Norm(expected)), "without P");
    }

    [Test]
    public void The_condition_after_a_sketch_does_not_depend_on_that_before([ValueSource(nameof(Conditions))] double cond, [Values] bool sparse)
    {
        Tensor M = Problems.Matrix(2000, 100, cond, 1);
        Assert.That(Condition(sparse ? Problems.Csr(M) : LinearOperator.FromMatrix(M), M, 0), Is.LessThan(4.5)); // 3.7 for infinitely many columns
    }

    [Test]
    public void Damping_is_part_of_the_condition([Values(1e-3, 1)] double damp, [Values] bool deficient)
    {
        Tensor M = Problems.Matrix(2000, 100, 1e6, 1, deficient: deficient);
        Assert.That(Condition(LinearOperator.FromMatrix(M), M, damp), Is.LessThan(4.5));
    }

    [Test]
    public void The_scales_of_columns_and_heavy_rows_do_not_matter()
    {
        Tensor M = Problems.Random(1, 2000, 100) * pow(10, linspace(-9, 9, 100, float64));
        M[TensorIndex.Slice(0, 100)] *= 1e4;
        Assert.That(Condition(LinearOperator.FromMatrix(M), M, 0), Is.LessThan(5));
    }

    [Test]
    public void In_float32_a_sketch_goes_as_far_as_the_digits([Values(1e1, 1e3, 1e5)] double cond)
    {
        Tensor M = Problems.Matrix(2000, 100, cond, 1, float32);
        Assert.That(Condition(LinearOperator.FromMatrix(M), M, 0), Is.LessThan(4.5));
    }

    [Test]
    public void Forty_iterations_gain_twelve_digits_whatever_the_condition([ValueSource(nameof(Conditions))] double cond)
    {
        Tensor M = Problems.Matrix(4000, 200, cond, 1), b = Problems.Random(2, 4000);
        LinearOperator A = LinearOperator.FromMatrix(M);
        using var guard = no_grad();
        LinearOperator P = Preconditioner.Sketch(A, oversampling: 4), B = A * P;
        double start = Vectors.Norm(B.ApplyTranspose(b));
        var options = new LsmrOptions { Atol = 0, Btol = 0, StopWhen = at => at.NormalResidualNorm <= 1e-12 * start };
        LsmrResult result = Lsmr.Solve(B, b, options);
        Assert.That(result.Iterations, Is.InRange(35, 42));
        double truth = Vectors.Norm(B.ApplyTranspose(b - B.Apply(result.Solution))) / start;
        Assert.That(truth, Is.LessThan(2e-12 + Vectors.Epsilon(float64) * cond), "to the round-off in A x");
    }

    [Test]
    public void The_solution_is_that_without_a_preconditioner(
        [Values("scaling", "sketch", "sketch of CSR")] string kind, [Values(0, 0.1)] double damp)
    {
        Tensor M = Problems.Matrix(300, 20, 100, 1), b = Problems.Random(2, 300);
        LinearOperator A = kind == "sketch of CSR" ? Problems.Csr(M) : LinearOperator.FromMatrix(M);
        using var guard = no_grad();
        LinearOperator P = kind == "scaling" ? Preconditioner.ColumnScaling(A, damp) : Preconditioner.Sketch(A, damp);
        LinearOperator stacked = LinearOperator.Stack(A, damp * LinearOperator.Identity([20], float64));
        LsmrResult result = Lsmr.Solve(stacked * P, cat([b, zeros(20, float64)]), new LsmrOptions { Atol = 1e-13, Btol = 1e-13 });
        Check.Close(P.Apply(result.Solution), Problems.Solve(M, b, damp, null), 1e-10, "x");
    }

    [Test]
    public void A_matrix_of_few_rows_is_its_own_sketch([Values] bool sparse, [Values((long)20, 50, 60)] long rows)
    {
        Tensor M = Problems.Matrix(rows, 20, 1e5, 1);
        Assert.That(Condition(sparse ? Problems.Csr(M) : LinearOperator.FromMatrix(M), M, 0), Is.EqualTo(1).Within(1e-4));
    }

    [Test]
    public void A_sketch_of_one_column_does_not_cancel_it()
    {
        Tensor M = zeros(2000, 1, float64);
        M[TensorIndex.Slice(0, 2)] = ones(2, 1, float64);
        for (long seed = 0; seed < 50; seed++) {
            double norm = 1 / Vectors.Norm(Preconditioner.Sketch(LinearOperator.FromMatrix(M), seed: seed).Apply(ones(1, float64)));
            Assert.That(norm, Is.InRange(Math.Sqrt(2) / 3, Math.Sqrt(2) * 3), $"seed {seed}");
        }
    }

    [Test]
    public void A_matrix_without_columns_has_a_sketch()
    {
        LinearOperator P = Preconditioner.Sketch(LinearOperator.FromMatrix(zeros(3, 0, float64)));
        Assert.That(P.Apply(zeros(0, float64)).numel(), Is.Zero);
    }

    [Test]
    public void A_wide_matrix_is_sketched_with_damping()
    {
        Tensor M = Problems.Matrix(10, 30, 1e3, 1);
        Assert.That(Condition(LinearOperator.FromMatrix(M), M, 1e-3), Is.EqualTo(1).Within(1e-6));
    }

    [Test]
    public void Products_are_adjoint([Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        LinearOperator A = LinearOperator.FromMatrix(Problems.Matrix(200, 20, 100, 1, dtype));
        foreach (LinearOperator P in new[] { Preconditioner.ColumnScaling(A), Preconditioner.Sketch(A) }) {
            Assert.That((P.InputShape, P.OutputShape, P.dtype), Is.EqualTo((A.InputShape, A.InputShape, dtype)));
            P.Verify();
        }
    }

    [Test]
    public void Gradients_through_A_P_are_those_without_P()
    {
        Tensor M = Problems.Matrix(80, 8, 10, 1), b = Problems.Random(2, 80), g = Problems.Random(3, 8);
        Tensor Gradient(Func<LinearOperator, LinearOperator?> precondition)
        {
            Tensor leaf = M.clone().requires_grad_();
            LinearOperator A = LinearOperator.FromMatrix(leaf);
            var options = new LsmrOptions { Atol = 1e-14, Btol = 1e-14 };
            Tensor x = precondition(A) is { } P ? P.Apply(Lsmr.Solve(A * P, b, options).Solution) : Lsmr.Solve(A, b, options).Solution;
            x.dot(g).backward();
            return leaf.grad!;
        }
        Tensor expected = Gradient(_ => null);
        Check.Close(Gradient(A => Preconditioner.Sketch(A)), expected, 1e-10, "with a sketch");
        Check.Close(Gradient(A => Preconditioner.ColumnScaling(A)), expected, 1e-10, "with scaled columns");
    }

    [Test]
    public void A_preconditioner_leaves_its_own_tensors_and_the_same_seed_gives_its_bits_again()
    {
        Tensor M = Problems.Matrix(300, 20, 1e4, 1), v = Problems.Random(2, 20);
        LinearOperator dense = LinearOperator.FromMatrix(M), sparse = Problems.Csr(M), closure = LinearOperator.FromMatVec(M.mv, [20], float64);
        LinearOperator hard = LinearOperator.FromMatrix(Problems.Matrix(300, 20, 1e10, 1));
        Func<long, LinearOperator>[] builders = [
            seed => Preconditioner.ColumnScaling(closure, seed: seed),
            seed => Preconditioner.Sketch(dense, seed: seed),
            seed => Preconditioner.Sketch(dense, 0.1, seed: seed),
            seed => Preconditioner.Sketch(sparse, seed: seed),
            seed => Preconditioner.Sketch(hard, seed: seed),
        ];
        foreach (Func<long, LinearOperator> builder in builders) {
            LinearOperator? P = null;
            // The diagonal; or R, S A, and the two that S has.
            Check.LeavesNoTensors(() => P = builder(7), returned: builder == builders[0] ? 1 : 4);
            Check.LeavesNoTensors(() => P!.Apply(v).Dispose());
            Check.LeavesNoTensors(() => P!.ApplyTranspose(v).Dispose());
            double[] product = Problems.Values(P!.Apply(v));
            Assert.That(Problems.Values(builder(7).Apply(v)), Is.EqualTo(product));
            Assert.That(Problems.Values(builder(8).Apply(v)), Is.Not.EqualTo(product));
        }
        Check.LeavesNoTensors(() => Preconditioner.ColumnScaling(dense), returned: 1);
        Check.LeavesNoTensors(() => Preconditioner.ColumnScaling(sparse), returned: 1);
        Check.LeavesNoTensors(() => Preconditioner.ColumnScaling(LinearOperator.Stack(dense, 2 * sparse)), returned: 1);
        Check.LeavesNoTensors(() => Preconditioner.ColumnScaling(LinearOperator.Stack(dense, closure)), returned: 1);
    }

    [Test]
    public void Misuse_is_refused_with_the_rule_and_the_value([Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        Tensor M = Random(dtype, 600, 30);
        LinearOperator A = LinearOperator.FromMatrix(M);
        void Refused(TestDelegate action, string sentence) => Check.LeavesNoTensors(() =>
            Assert.That(action, Throws.ArgumentException.With.Message.Contains(sentence)));
        Refused(() => Preconditioner.ColumnScaling(A, -1), "damp must be finite and not negative, but is -1.0e+00");
        Refused(() => Preconditioner.ColumnScaling(A, probes: 0), "probes must be positive, but is 0");
        Refused(() => Preconditioner.Sketch(A, double.NaN), "damp must be finite and not negative, but is NaN");
        Refused(() => Preconditioner.Sketch(A, 0, 1), "oversampling must be finite and over 1, but is 1");
        Refused(() => Preconditioner.Sketch(A * A.T), "A sketch is made from the entries of a matrix, dense or in compressed rows, but A is ProductOperator (600) -> (600)");
        Refused(() => Preconditioner.Sketch(A.T), "A has 30 rows and 600 columns, so its columns are dependent: use damping, or no sketch");

        Tensor repeated = M.clone(), infinite = M.clone();
        repeated[TensorIndex.Colon, 20] = M[TensorIndex.Colon, 3] - M[TensorIndex.Colon, 7];
        infinite[5, 5] = double.PositiveInfinity;
        LinearOperator dependent = LinearOperator.FromMatrix(repeated), notFinite = LinearOperator.FromMatrix(infinite);
        Refused(() => Preconditioner.Sketch(dependent), $"Column 20 of A depends on those before it, to the precision of {dtype}: use damping, or no sketch");
        Refused(() => Preconditioner.Sketch(notFinite), "A's entries must be finite, but some are not");
        Refused(() => Preconditioner.ColumnScaling(notFinite), "The norms of A's columns must be finite, but some are not");
        Preconditioner.Sketch(dependent, 1e-2);
        LinearOperator zero = LinearOperator.FromMatrix(cat([M, zeros(600, 1, dtype)], 1));
        Refused(() => Preconditioner.Sketch(zero), "Column 30 of A depends on those before it");
    }

    /// <summary>The condition of [M; damp I] P by dense singular values.</summary>
    private static double Condition(LinearOperator A, Tensor M, double damp)
    {
        using var guard = no_grad();
        LinearOperator P = Preconditioner.Sketch(A, damp);
        Tensor stacked = cat([M.to(float64), eye(M.shape[1], dtype: float64) * damp]);
        Tensor R = P.Held.Single().to(float64);
        Tensor values = linalg.svdvals(linalg.solve_triangular(R, stacked, upper: true, left: false));
        return (values.max() / values.min()).item<double>();
    }

    private static Tensor Random(ScalarType dtype, params long[] shape) => Problems.Random(11, shape).to(dtype);
}
