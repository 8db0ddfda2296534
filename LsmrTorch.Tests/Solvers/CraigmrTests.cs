using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>CRAIGMR's two vectors against dense algebra in float64, and each of its stops.</summary>
public class CraigmrTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    [Test]
    public void Both_vectors_are_those_of_dense_algebra(
        [Values] Shape shape, [Values(0, 0.3)] double damp, [Values] bool deficient, [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        (long m, long n) = Problems.Size(shape);
        const double Cond = 8;
        Tensor A = Problems.Matrix(m, n, Cond, 1, dtype, deficient), A64 = A.to(float64);
        // Undamped, b must be in range, and y is unique only for full row rank: the one of least norm is A⁺ᵀx then.
        Tensor b = (damp == 0 ? A64.mv(Problems.Random(2, n)) : Problems.Random(2, m)).to(dtype);
        CraigmrResult result = Craigmr.Solve(LinearOperator.FromMatrix(A), b, new CraigmrOptions { Damp = damp });

        Tensor pinv = linalg.pinv(A64, 1e-5);
        Tensor y = damp > 0
            ? linalg.solve(A64.mm(A64.t()) + eye(m, dtype: float64) * damp * damp, b.to(float64))
            : pinv.t().mv(pinv.mv(b.to(float64)));
        double tolerance = Cond * Cond * (dtype == ScalarType.Float32 ? 2e-6 : 1e-11); // cond^2 times its tolerance
        Assert.That(result.Stop, Is.EqualTo(CraigmrStop.Residual), result.ToString());
        Check.Close(result.Multiplier, y, tolerance, "y");
        Check.Close(result.Solution, A64.t().mv(y), tolerance, "x");
        Tensor residual = b - A.mv(result.Solution) - result.Multiplier * damp * damp;
        double round = 30 * Vectors.Epsilon(dtype) * (Vectors.Norm(b) + Vectors.Norm(y));
        Assert.That(result.ResidualNorm, Is.EqualTo(Vectors.Norm(residual)).Within(round), "the residual is the true one");
    }

    [Test]
    public void A_right_hand_side_outside_the_range_is_Inconsistent_and_x_is_least_squares()
    {
        Tensor A = Problems.Matrix(14, 6, 5, 1), b = Problems.Random(2, 14);
        CraigmrResult result = Craigmr.Solve(LinearOperator.FromMatrix(A), b);
        Assert.That((result.Stop, result.Converged), Is.EqualTo((CraigmrStop.Inconsistent, false)));
        Check.Close(result.Solution, Problems.Solve(A, b, 0, null), 1e-8, "x");
    }

    [Test]
    public void A_right_hand_side_orthogonal_to_the_range_is_Inconsistent_at_once()
    {
        Tensor A = tensor([1.0, 0, 0, 1, 0, 0], float64).view(3, 2);
        CraigmrResult result = Craigmr.Solve(LinearOperator.FromMatrix(A), tensor([0.0, 0, 5], float64));
        Assert.That((result.Stop, result.Iterations), Is.EqualTo((CraigmrStop.Inconsistent, 0)));
        Assert.That(Problems.Values(result.Solution), Is.All.Zero);
    }

    [Test]
    public void The_other_stops_are_reached()
    {
        LinearOperator A = LinearOperator.FromMatrix(Problems.Matrix(6, 14, 10, 1));
        CraigmrResult zero = Craigmr.Solve(A, zeros(6, float64));
        Assert.That((zero.Stop, zero.Iterations, zero.Converged), Is.EqualTo((CraigmrStop.ZeroRightHandSide, 0, true)));
        Assert.That(Problems.Values(zero.Multiplier), Is.All.Zero);
        CraigmrResult limited = Craigmr.Solve(A, ones(6, float64), new CraigmrOptions { MaxIterations = 2 });
        Assert.That((limited.Stop, limited.Iterations), Is.EqualTo((CraigmrStop.IterationLimit, 2)));
        CraigmrResult nan = Craigmr.Solve(A, full([6], double.NaN, float64));
        Assert.That((nan.Stop, nan.Iterations), Is.EqualTo((CraigmrStop.NonFinite, 0)));
        Assert.That(Problems.Values(nan.Solution).Concat(Problems.Values(nan.Multiplier)), Is.All.NaN);
    }

    [Test]
    public void Misuse_is_refused_and_nothing_is_left_behind()
    {
        LinearOperator A = LinearOperator.FromMatrix(Problems.Matrix(6, 14, 10, 1));
        Tensor b = ones(6, float64);
        Assert.That(() => Craigmr.Solve(A, ones(7, float64)), Throws.ArgumentException.With.Message.Contains("b has shape (7) but the operator returns (6)"));
        Assert.That(() => Craigmr.Solve(A, b, new CraigmrOptions { Damp = -1 }), Throws.ArgumentException.With.Message.Contains("Damp must be finite and not negative"));
        Assert.That(() => Craigmr.Solve(A, b, new CraigmrOptions { Tolerance = double.NaN }), Throws.ArgumentException);
        Check.LeavesNoTensors(() => Craigmr.Solve(A, b, new CraigmrOptions { Damp = 0.1 }), 2);
    }
}
