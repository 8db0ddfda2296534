using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>Solutions against a dense pseudo-inverse in float64, in every cell of shape × damping × rank × start × dtype.</summary>
public class LsmrSolutionTests
{
    [Test]
    public void Solution_is_that_of_the_dense_pseudo_inverse(
        [Values] Shape shape, [Values(0, 0.3)] double damp, [Values] bool deficient, [Values] bool start,
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        const double Cond = 10;
        Tensor A = Problems.Matrix(m, n, Cond, 1, dtype, deficient), b = Problems.Random(3, m).to(dtype);
        Tensor? x0 = start ? Problems.Random(4, n).to(dtype) : null;

        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b, damp, x0, atol: 0, btol: 0);

        // Tolerances are floored at 3 eps; the error of a least-squares solution grows with cond^2 where r is not small.
        double tolerance = 30 * Cond * Cond * (dtype == ScalarType.Float32 ? 1.2e-7 : 2.2e-16);
        TestContext.Out.WriteLine(result);
        Assert.That(result.Converged, result.ToString());
        Check.Close(result.Solution, Problems.Solve(A, b, damp, x0), tolerance, "x");
    }
}
