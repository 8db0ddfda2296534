using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>
/// A tensor that is given another memory, shape or layout after an operator was made of it is read as it is then, or
/// refused.
/// </summary>
public class ChangedTensorTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static void Refused(TestDelegate action) =>
        Assert.That(action, Throws.ArgumentException.With.Message.Contains("make the operator anew"));

    private static (LinearOperator A, Tensor Values) Csr(int entries = 3)
    {
        Tensor values = Problems.Random(1, entries), columns = arange(entries).to(int64) % 3,
            starts = arange(entries + 1).to(int64);
        return (LinearOperator.FromCsr(values, columns, starts, 3), values);
    }

    [Test]
    public void Sparse_values_of_another_number_are_refused([Values(1, 2, 5, 0)] int count, [Values] bool isPrepared)
    {
        (LinearOperator A, Tensor values) = Csr();
        using var workspace = new LsmrWorkspace(A);
        Tensor x = zeros(3, float64);
        workspace.Solve(ones(3, float64), x);
        LinearOperator used = isPrepared ? A.Prepare() : A;
        values.set_(ones(count, float64));
        Refused(() => used.Apply(ones(3, float64)));
        Refused(() => used.ApplyTranspose(ones(3, float64)));
        Refused(() => used.Apply(ones([3, 2], float64)));
        Refused(() => linalg.lsmr(A, ones(3, float64)));
        Refused(() => linalg.lsmr(2 * A + A, ones(3, float64), 0.5));
        Refused(() => Craigmr.Solve(A.T, ones(3, float64)));
        Refused(() => workspace.Solve(ones(3, float64), x));
        Refused(() => A.Verify());
        Refused(() => Preconditioner.ColumnScaling(A));
        Refused(() => Preconditioner.Sketch(A));
        Refused(() => _ = new LsmrWorkspace(A));
    }

    [Test]
    public void Values_in_another_memory_are_those_that_count([Values] bool isStrided)
    {
        (LinearOperator A, Tensor values) = Csr();
        using var workspace = new LsmrWorkspace(A);
        Tensor x = zeros(3, float64), b = Problems.Random(2, 3), others = Problems.Random(3, 6);
        workspace.Solve(b, x);
        Tensor taken = isStrided ? others[TensorIndex.Slice(0, 6, 2)] : others[TensorIndex.Slice(3, 6)];
        values.set_(taken);
        Check.Close(A.Apply(b), taken * b, 1e-14, "A v");
        Check.Close(linalg.lsmr(A, b).Solution, b / taken, 1e-8, "x");
        if (isStrided) {
            Refused(() => workspace.Solve(b, x));
        } else {
            workspace.Solve(b, x);
            Check.Close(x, b / taken, 1e-8, "x of the workspace");
        }
    }

    [Test]
    public void A_matrix_of_another_shape_is_refused([Values("2x4", "4x3", "1x1", "12")] string size)
    {
        Tensor M = Problems.Matrix(4, 2, 2, 1), x = zeros(2, float64), b = Problems.Random(2, 4);
        LinearOperator A = LinearOperator.FromMatrix(M);
        using var workspace = new LsmrWorkspace(A);
        workspace.Solve(b, x);
        M.set_(ones([.. size.Split('x').Select(long.Parse)], float64));
        Refused(() => A.Apply(ones(2, float64)));
        Refused(() => A.ApplyTranspose(b));
        Refused(() => linalg.lsmr(A, b));
        Refused(() => workspace.Solve(b, x));
    }

    [Test]
    public void A_matrix_transposed_in_place_is_read_by_its_columns([Values] bool isColumnMajor)
    {
        Tensor M = Problems.Matrix(9, 9, 3, 1), b = Problems.Random(2, 9), x = zeros(9, float64);
        if (isColumnMajor)
            M = M.t().contiguous().t();
        Tensor transpose = M.t().clone();
        LinearOperator A = LinearOperator.FromMatrix(M);
        using var workspace = new LsmrWorkspace(A);
        M.transpose_(0, 1);
        Check.Close(A.Apply(b), transpose.mv(b), 1e-13, "A v");
        Check.Close(linalg.lsmr(A, b).Solution, linalg.solve(transpose, b), 1e-8, "x");
        Refused(() => workspace.Solve(b, x));
    }

    [Test]
    public void Changes_between_iterations_are_refused_and_not_read_past()
    {
        (LinearOperator A, Tensor values) = Csr(90);
        LinearOperator tall = A;
        Tensor b = Problems.Random(2, 90);
        Refused(() => Lsmr.Solve(tall, b,
            new LsmrOptions { StopWhen = _ => { values.set_(ones(1, float64)); return false; }, Atol = 0, Btol = 0 }));
        Tensor M = Problems.Matrix(40, 20, 100, 1);
        Refused(() => Lsmr.Solve(LinearOperator.FromMatrix(M), Problems.Random(2, 40),
            new LsmrOptions { StopWhen = _ => { M.set_(ones(2, 3, float64)); return false; } }));
    }

    [Test]
    public void Diagonals_points_and_parameters_of_another_shape_are_refused()
    {
        Tensor d = Problems.Random(1, 3), at = Problems.Random(2, 3), p = Problems.Random(3, 4, 3);
        LinearOperator D = LinearOperator.Diagonal(d), J = LinearOperator.Jacobian(v => v * v, at);
        LinearOperator R = LinearOperator.FromRowBlocks((all, first, count) => all[0].narrow(0, first, count), [p], 4,
            2);
        d.set_(ones(1, float64));       // which would be broadcast
        at.set_(ones(1, float64));
        p.set_(ones(9, 3, float64));
        foreach (LinearOperator A in new[] { D, J, R }) {
            Refused(() => A.Apply(ones(3, float64)));
            Refused(() => linalg.lsmr(A, ones([.. A.OutputShape], float64)));
            Refused(() => linalg.lsmr(LinearOperator.Stack(A, A), ones(2 * A.Rows, float64)));
            Refused(() => linalg.lsmr(A + A, ones([.. A.OutputShape], float64)));
        }
        Tensor s = tensor(2.0, float64);
        LinearOperator scaled = s * LinearOperator.Identity([3], float64);
        s.set_(ones(3, float64));
        Assert.That(() => scaled.Apply(ones(3, float64)), Throws.ArgumentException.With.Message.Contains("0-dim"));
    }

    [Test]
    public void A_preconditioner_of_another_shape_is_refused()
    {
        Tensor d = ones(3, float64);
        LinearOperator P = LinearOperator.Diagonal(d), A = LinearOperator.FromMatrix(Problems.Matrix(5, 3, 2, 1));
        d.set_(ones(1, float64));
        Refused(() => Lsmr.Solve(A, ones(5, float64), new LsmrOptions { Preconditioner = P }));
    }
}
