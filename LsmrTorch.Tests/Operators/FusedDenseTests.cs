using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>The single-read step of dense matrices is the two products, to rounding, whatever the layout and the threads.</summary>
public class FusedDenseTests
{
    public enum Layout { RowMajor, ColumnMajor, Strided, EveryOther, Transposed, Preconditioned, Stacked }

    private static (LinearOperator Fused, Tensor Matrix) Operator(Layout layout, long m, long n, ScalarType dtype)
    {
        Tensor M = Problems.Random(1, m, n).to(dtype);
        switch (layout) {
            case Layout.ColumnMajor:
                return (LinearOperator.FromMatrix(M.t().contiguous().t()), M);
            case Layout.Strided:
                return (LinearOperator.FromMatrix(cat([M, M], 1).narrow(1, 0, n)), M);
            case Layout.EveryOther:
                return (LinearOperator.FromMatrix(stack([M, M], 2).view(m, 2 * n)[TensorIndex.Colon, TensorIndex.Slice(0, 2 * n, 2)]), M);
            case Layout.Transposed:
                return (LinearOperator.FromMatrix(M.t().contiguous()).T, M);
            case Layout.Preconditioned:
                Tensor d = Problems.Random(9, n).to(dtype);
                return (LinearOperator.FromMatrix(M) * LinearOperator.Diagonal(d), M.mul(d));
            case Layout.Stacked:
                LinearOperator A = LinearOperator.FromMatrix(M.narrow(0, 0, (m + 1) / 2)), scaled = 3.0 * LinearOperator.FromMatrix(M.narrow(0, (m + 1) / 2, m / 2).div(3));
                return (LinearOperator.Stack(A, scaled), M);
            default:
                return (LinearOperator.FromMatrix(M), M);
        }
    }

    [Test]
    public void The_bidiagonalisation_is_that_of_two_products(
        [Values] Layout layout, [Values(1, 2)] int threads, [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype,
        [Values("1x1", "7x3", "64x64", "131x17", "5x37", "700x301", "301x700", "3x40000")] string size)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        int before = get_num_threads();
        set_num_threads(threads);
        try {
            long[] shape = [.. size.Split('x').Select(long.Parse)];
            (LinearOperator fused, Tensor M) = Operator(layout, shape[0], shape[1], dtype);
            Assert.That(fused.Fusion, layout switch {
                Layout.EveryOther => Is.EqualTo(shape[1] == 1 ? Fusion.Step : Fusion.None),
                Layout.ColumnMajor or Layout.Transposed => Is.EqualTo(Fusion.Transposed).Or.EqualTo(Fusion.Step),
                _ => Is.EqualTo(Fusion.Step),
            });
            Tensor truth = M.to(float64), b = Problems.Random(2, shape[0]);
            Bidiagonalisation.IsOf(truth, fused, b.to(dtype), Math.Min(4, Math.Min(shape[0], shape[1]) - 1));
        } finally {
            set_num_threads(before);
        }
    }

    [Test]
    public void All_threads_give_the_same_bits_and_nothing_is_left()
    {
        using var scope = NewDisposeScope();
        int before = get_num_threads();
        try {
            LinearOperator A = LinearOperator.FromMatrix(Problems.Random(1, 900, 400));
            Tensor b = Problems.Random(2, 900);
            double[] first = Problems.Values(linalg.lsmr(A, b).Solution);
            for (int threads = 1; threads <= 4; threads++) {
                set_num_threads(threads);
                for (int i = 0; i < 5; i++)
                    Assert.That(Problems.Values(linalg.lsmr(A, b).Solution), Is.EqualTo(first), $"{threads} threads");
                Check.LeavesNoTensors(() => linalg.lsmr(A, b), 1);
            }
        } finally {
            set_num_threads(before);
        }
    }

    [Test]
    public void Squares_that_leave_the_range_do_not_spoil_a_norm([Values(1e-130, 1e130)] double scale)
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(30, 10, 10, 1), b = Problems.Random(2, 30);
        LsmrResult plain = linalg.lsmr(LinearOperator.FromMatrix(M), b), scaled = linalg.lsmr(LinearOperator.FromMatrix(M * scale), b);
        Assert.That(scaled.Stop, Is.EqualTo(plain.Stop));
        Assert.That(scaled.Iterations, Is.EqualTo(plain.Iterations).Within(1), "no power of two: A's entries are rounded anew");
        Check.Close(scaled.Solution * scale, plain.Solution, 1e-8, "x");
    }

    [Test]
    public void A_NaN_in_the_matrix_stops_the_solve([Values] bool transposed)
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Random(1, 12, 12);
        M[7, 5] = double.NaN;
        LinearOperator A = LinearOperator.FromMatrix(M);
        Assert.That(linalg.lsmr(transposed ? A.T : A, Problems.Random(2, 12)).Stop, Is.EqualTo(LsmrStop.NonFinite));
    }

    [Test]
    public void A_step_refuses_vectors_of_another_length_or_dtype()
    {
        using var scope = NewDisposeScope();
        LinearOperator A = LinearOperator.FromMatrix(Problems.Random(1, 9, 5));
        static Tensor Vector(long length, ScalarType dtype = ScalarType.Float64) => zeros(length, dtype);
        Assert.Throws<ArgumentException>(() => A.FusedStep(Vector(4), Vector(9), 1, Vector(5)));
        Assert.Throws<ArgumentException>(() => A.FusedStep(Vector(5), Vector(5), 1, Vector(5)));
        Assert.Throws<ArgumentException>(() => A.FusedStep(Vector(5), Vector(9), 1, Vector(4)));
        Assert.Throws<ArgumentException>(() => A.FusedStep(Vector(5, ScalarType.Float32), Vector(9), 1, Vector(5)));
    }
}
