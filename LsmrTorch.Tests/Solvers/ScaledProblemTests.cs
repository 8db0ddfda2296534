using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>A and b of any size that the dtype holds: squares and products of their norms may leave its range, the solution does not change.</summary>
public class ScaledProblemTests
{
    private DisposeScope scope = null!;
    private IDisposable guard = null!;

    [SetUp]
    public void OpenScope() => (scope, guard) = (NewDisposeScope(), no_grad());

    [TearDown]
    public void CloseScope()
    {
        guard.Dispose();
        scope.Dispose();
    }

    private static readonly (int OfA, int OfB)[] doubles = [(0, 0), (-530, -530), (-660, -330), (990, 990), (990, 0), (-990, -990), (-990, 0), (0, 510), (0, 1000), (0, -1000), (660, 700)];
    private static readonly (int OfA, int OfB)[] floats = [(0, 0), (-60, -60), (-100, -100), (100, 100), (-120, -120), (120, 120), (0, 110), (0, -110), (60, 0), (110, 60)];

    private static IEnumerable<object[]> Cases() =>
        from cell in doubles.Select(d => (d.OfA, d.OfB, float64)).Concat(floats.Select(f => (f.OfA, f.OfB, float32)))
        from shape in Enum.GetValues<Shape>()
        from damp in new[] { 0, 0.5 }
        from kind in new[] { "dense", "column-major", "csr", "closure" }
        select new object[] { cell.OfA, cell.OfB, cell.Item3, shape, damp, kind };

    private static LinearOperator Operator(Tensor M, string kind) => kind switch {
        "dense" => LinearOperator.FromMatrix(M),
        "column-major" => LinearOperator.FromMatrix(M.t().contiguous().t()),
        "csr" => Problems.Csr(M),
        _ => LinearOperator.FromMatVec(v => M.mv(v), [M.shape[1]], M.dtype),
    };

    // x 2^k by exact factors that are numbers of the dtype themselves.
    private static Tensor Times(Tensor x, int k)
    {
        int half = k / 2;
        return x * tensor(Math.ScaleB(1, half), float64).to(x.dtype) * tensor(Math.ScaleB(1, k - half), float64).to(x.dtype);
    }

    [TestCaseSource(nameof(Cases))]
    public void A_solution_scales_with_A_and_b(int ofA, int ofB, ScalarType dtype, Shape shape, double damp, string kind)
    {
        (long m, long n) = Problems.Size(shape);
        Tensor M = Problems.Matrix(m, n, 10, 1, dtype), b = Problems.Random(2, m).to(dtype);
        Tensor expected = Problems.Solve(M, b, damp, null);
        LsmrResult result = Lsmr.Solve(Operator(Times(M, ofA), kind), Times(b, ofB), new LsmrOptions { Damp = Math.ScaleB(damp, ofA) });
        Assert.That(result.Converged, result.ToString());
        Tensor back = Times(Times(result.Solution.to(float64), -ofB), ofA);
        Check.Close(back, expected, dtype == ScalarType.Float32 ? 2e-5 : 1e-8, $"x of {kind}");    // cond 10 times the tolerance
    }

    [TestCaseSource(nameof(Cases))]
    public void A_workspace_solves_at_every_scale(int ofA, int ofB, ScalarType dtype, Shape shape, double damp, string kind)
    {
        if (kind == "closure")
            kind = "csr";
        (long m, long n) = Problems.Size(shape);
        Tensor M = Problems.Matrix(m, n, 10, 1, dtype), b = Problems.Random(2, m).to(dtype), x = zeros(n, dtype);
        using var workspace = new LsmrWorkspace(Operator(Times(M, ofA), kind), new LsmrOptions { Damp = Math.ScaleB(damp, ofA) });
        LsmrColumn column = workspace.Solve(Times(b, ofB), x);
        Assert.That(column.Converged, column.ToString());
        Check.Close(Times(Times(x.to(float64), -ofB), ofA), Problems.Solve(M, b, damp, null), dtype == ScalarType.Float32 ? 2e-5 : 1e-8, $"x of {kind}");
    }

    [Test]
    public void A_start_is_used_at_every_scale([Values(-990, -530, 0, 530, 990)] int scale, [Values(0, 0.5)] double damp, [Values("dense", "closure")] string kind)
    {
        Tensor M = Problems.Matrix(14, 6, 10, 1), b = Problems.Random(2, 14), x0 = Problems.Random(3, 6);
        LsmrResult result = Lsmr.Solve(Operator(Times(M, scale), kind), Times(b, scale), new LsmrOptions { Damp = Math.ScaleB(damp, scale), Start = x0 });
        Assert.That(result.Converged, result.ToString());
        Check.Close(result.Solution, Problems.Solve(M, b, damp, x0), 1e-8, "x");
    }

    [Test]
    public void Craigmr_scales_too([Values(-990, -530, 0, 530, 990)] int ofA, [Values(0, 0.5)] double damp)
    {
        Tensor M = Problems.Matrix(6, 14, 10, 1), b = Problems.Random(2, 6);
        CraigmrResult result = Craigmr.Solve(LinearOperator.FromMatrix(Times(M, ofA)), Times(b, ofA), new CraigmrOptions { Damp = Math.ScaleB(damp, ofA) });
        Assert.That(result.Converged, result.ToString());
        Check.Close(result.Solution, Problems.Solve(M, b, damp, null), 1e-8, "x");
    }

    [Test]
    public void Steps_that_leave_their_numbers_on_the_device_scale_too([Values(-990, 990)] int scale)
    {
        Tensor M = Times(Problems.Matrix(14, 6, 10, 1), scale), b = Times(Problems.Random(2, 14), scale);
        LinearOperator A = LinearOperator.FromMatVec(v => M.mv(v), u => M.t().mv(u), [6], float64);
        LsmrIteration Stepped(bool readsOnce)
        {
            var iteration = new LsmrIteration(A, null, 0, 0, readsOnce);
            iteration.Begin(b);
            for (int i = 0; i < 6; i++)
                iteration.Step();
            return iteration;
        }
        LsmrIteration once = Stepped(true), plain = Stepped(false);
        Check.Close(once.X, plain.X, 1e-12, "x");
        Assert.That(once.IsFinite(0));
        Assert.That(once.NormOfSolution(0), Is.EqualTo(Vectors.Norm(plain.X)).Within(1e-12));
    }

    [Test]
    public void A_solution_that_the_dtype_does_not_hold_is_no_number()
    {
        Tensor M = Problems.Matrix(14, 6, 10, 1), b = Problems.Random(2, 14);
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(Times(M, -900)), Times(b, 900));
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.NonFinite), result.ToString());
        Assert.That(Problems.Values(result.Solution), Is.All.NaN);
    }

    [Test]
    public void A_start_that_is_said_to_be_the_solution_is_audited()
    {
        Tensor M = Problems.Matrix(14, 6, 10, 1), b = Problems.Random(2, 14);
        LinearOperator wrong = LinearOperator.FromMatVec(v => M.mv(v), u => zeros(6, float64), [6], float64);
        LsmrResult result = Lsmr.Solve(wrong, b);
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.NotConfirmed), "a transpose of zero says that zero is the solution");
        Tensor orthogonal = b - M.mv(linalg.pinv(M).mv(b));
        Assert.That(Lsmr.Solve(LinearOperator.FromMatrix(M), zeros(14, float64)).Stop, Is.EqualTo(LsmrStop.StartIsSolution));
        LsmrResult none = Lsmr.Solve(LinearOperator.FromMatrix(M), orthogonal);
        Assert.That(Vectors.Norm(none.Solution), Is.LessThan(1e-14), "Aᵀb is round-off");
    }

    [Test]
    public void Column_scaling_knows_the_norms_at_every_scale([Values(-990, -530, 0, 530, 990)] int scale, [Values("dense", "column-major", "csr", "closure")] string kind)
    {
        Tensor M = Problems.Matrix(40, 6, 10, 1) * pow(10, linspace(-2, 2, 6, float64)), scaled = Times(M, scale);
        EntryNorms? norms = Operator(scaled, kind).Norms();
        if (kind != "closure") {
            Check.Close(Times(norms!.Value.Columns, -scale), M.norm(0, false, 2f), 1e-14, "columns");
            Check.Close(Times(norms.Value.Rows, -scale), M.norm(1, false, 2f), 1e-14, "rows");
        }
        LinearOperator P = Preconditioner.ColumnScaling(Operator(scaled, kind), probes: 200);
        Tensor ones = Times(P.Apply(torch.ones(6, float64)), scale) * M.norm(0, false, 2f);
        Assert.That(Problems.Values(ones), Is.All.EqualTo(1).Within(kind == "closure" ? 0.3 : 1e-12));
    }

    [Test]
    public void Norms_of_composed_operators_are_those_of_their_matrices()
    {
        Tensor A = Problems.Random(1, 7, 4), B = Problems.Random(2, 3, 4);
        void Compare(LinearOperator op, Tensor matrix, string what)
        {
            EntryNorms norms = op.Norms() ?? throw new AssertionException($"{what}: no norms");
            Check.Close(norms.Rows.reshape(-1), matrix.norm(1, false, 2f), 1e-14, $"rows of {what}");
            Check.Close(norms.Columns.reshape(-1), matrix.norm(0, false, 2f), 1e-14, $"columns of {what}");
        }
        LinearOperator opA = LinearOperator.FromMatrix(A), opB = LinearOperator.FromMatrix(B);
        Compare(opA.T, A.t(), "a transpose");
        Compare(-2.5 * opA, -2.5 * A, "a multiple");
        Compare(tensor(-3.0) * opA, 3 * A, "a multiple by a tensor");
        Compare(LinearOperator.Stack(opA, opB), cat([A, B]), "a stack");
        Compare(LinearOperator.BlockDiagonal(opA, opB), torch.block_diag(A, B), "a block diagonal");
        Compare(LinearOperator.Diagonal(A[0]), A[0].diag(), "a diagonal");
        Compare(LinearOperator.Identity([2, 2], float64), eye(4, dtype: float64), "the identity");
        Compare(Problems.Csr(A), A, "compressed rows");
        // Entries of one place add up before they are squared.
        LinearOperator twice = LinearOperator.FromCsr(tensor([1.0, 2.0, 5.0]), tensor(new long[] { 1, 1, 0 }), tensor(new long[] { 0, 2, 3 }), 2);
        foreach (LinearOperator op in new[] { twice, 2 * twice, LinearOperator.Stack(twice, twice), LinearOperator.BlockDiagonal(twice, twice) }) {
            Tensor matrix = stack(eye(op.Columns, dtype: float64).unbind(0).Select(op.Apply).ToArray(), 1);
            Check.Close(op.ColumnNorms()!, matrix.norm(0, false, 2f), 1e-14, "compressed rows with entries of one place");
        }
        Assert.That((opA + opA).Norms(), Is.Null, "a sum");
    }

    [Test]
    public void Norms_of_float32_and_of_large_matrices_are_exact([Values] bool single, [Values(1, 100, 3000)] long m, [Values(1, 7, 500)] long n)
    {
        Tensor M = Problems.Random(1, m, n).to(single ? float32 : float64), M64 = M.to(float64);
        EntryNorms norms = LinearOperator.FromMatrix(M).Norms()!.Value, sparse = Problems.Csr(M).Norms()!.Value;
        Check.Close(norms.Rows, M64.norm(1, false, 2f), 1e-13, "rows");
        Check.Close(norms.Columns, M64.norm(0, false, 2f), 1e-13, "columns");
        Check.Close(sparse.Rows, M64.norm(1, false, 2f), 1e-13, "rows of compressed rows");
        Check.Close(sparse.Columns, M64.norm(0, false, 2f), 1e-13, "columns of compressed rows");
    }
}
