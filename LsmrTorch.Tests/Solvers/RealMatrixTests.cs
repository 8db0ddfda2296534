using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>well1033, illc1033 and well1850 against LAPACK's numbers and SciPy's counts.</summary>
public class RealMatrixTests
{
    private static readonly Dictionary<string, int> ScipyIterations = new() { ["well1033"] = 199, ["illc1033"] = 3344, ["well1850"] = 495 };

    [TestCaseSource(typeof(RealData), nameof(RealData.RealCases))]
    public void Solutions_and_iterations_are_those_of_the_references(object? row)
    {
        if (row is not RealData.RealCase expected) {
            SharedData.Require("least_squares_cases.json");
            return;
        }
        using var scope = NewDisposeScope();
        (LinearOperator A, Tensor b) = RealData.Matrix(expected.Name);
        LsmrResult result = linalg.lsmr(A, b, expected.Damp, null, 1e-10, 1e-10, 1e12);
        TestContext.Out.WriteLine(result);
        double tolerance = expected.Name == "illc1033" ? 1e-5 : 1e-6; // 1e-10 times a share of cond^2
        double residual = expected.Damp > 0 ? tolerance : 1e-9;         // undamped, |b - A x| is stationary in x
        Assert.That(result.Stop, Is.EqualTo(LsmrStop.LeastSquares));
        Assert.That(Problems.Values(result.Solution)[..5], Is.EqualTo(expected.X_first5).Within(tolerance * expected.Norm_x));
        Assert.That(result.SolutionNorm, Is.EqualTo(expected.Norm_x).Within(tolerance * expected.Norm_x));
        Assert.That(Vectors.Norm(b - A.Apply(result.Solution)), Is.EqualTo(expected.Normr).Within(residual * expected.Normr));
        if (expected.Damp == 0) {
            int scipy = ScipyIterations[expected.Name];
            Assert.That(result.Iterations, Is.EqualTo(scipy).Within(0.05 * scipy), "SciPy's count");
        }
        double floor = Math.Sqrt(expected.Sigma_min * expected.Sigma_min + expected.Damp * expected.Damp);
        double cond = expected.Sigma_max / floor;
        Assert.That(result.ConditionEstimate, Is.InRange(cond / 2, cond * (1 + 1e-9)), "a lower bound within a factor of two");
        Assert.That(result.NormEstimate, Is.InRange(0.99 * expected.Sigma_max, expected.Sigma_max * (1 + 1e-9)), "a lower bound of |A|");
    }

    [TestCaseSource(typeof(RealData), nameof(RealData.RealCases))]
    public void Craigmr_gives_both_vectors_of_the_backward_pass(object? row)
    {
        if (row is not RealData.RealCase expected) {
            SharedData.Require("least_squares_cases.json");
            return;
        }
        using var scope = NewDisposeScope();
        (LinearOperator A, _) = RealData.Matrix(expected.Name);
        Tensor i = arange(A.Columns, float64);
        Tensor g = (1 - 2 * i.remainder(2)) / (1 + i);        // (-1)^i / (1 + i)
        CraigmrResult result = Craigmr.Solve(A.T, g, new CraigmrOptions { Damp = expected.Damp, Tolerance = 1e-10 });
        TestContext.Out.WriteLine(result);
        Assert.That(result.Stop, Is.EqualTo(CraigmrStop.Residual));
        // ||dw|| <= tolerance ||g|| / (sigma_min^2 + damp^2), ||dp|| <= that times sigma_min at worst; twice for round-off.
        double square = expected.Sigma_min * expected.Sigma_min + expected.Damp * expected.Damp;
        double w = Math.Max(2e-10 * Vectors.Norm(g) / square, 1e-6 * expected.Norm_w), p = Math.Max(2e-10 * Vectors.Norm(g) / Math.Sqrt(square), 1e-8 * expected.Norm_p);
        Assert.That(Problems.Values(result.Multiplier)[..5], Is.EqualTo(expected.W_first5).Within(w), "w");
        Assert.That(Problems.Values(result.Solution)[..5], Is.EqualTo(expected.P_first5).Within(p), "p");
        Assert.That(Vectors.Norm(result.Multiplier), Is.EqualTo(expected.Norm_w).Within(w), "|w|");
        Assert.That(Vectors.Norm(result.Solution), Is.EqualTo(expected.Norm_p).Within(p), "|p|");
    }
}
