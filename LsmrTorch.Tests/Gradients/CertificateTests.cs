using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>The parts of the certificate, each against the error that it bounds.</summary>
public class CertificateTests
{
    /// <summary>x and w of (AᵀA + λ²I) x = Aᵀb and (AᵀA + λ²I) w = g, dense in float64.</summary>
    private static (Tensor X, Tensor W) Truth(Tensor A, Tensor b, double damp, Tensor g)
    {
        Tensor M = A.detach().to(float64), H = M.t().mm(M) + damp * damp * eye(M.shape[1], dtype: float64);
        return (linalg.solve(H, M.t().mv(b.detach().to(float64))), linalg.solve(H, g.to(float64)));
    }

    [Test]
    public void The_bound_of_the_derivative_with_respect_to_the_damping_is_not_below_its_error(
        [Values] Shape shape, [Values(1, 1e-1, 1e-2)] double value, [Values(1e-2, 1e-4, 1e-8)] double tolerance,
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = shape switch { Shape.Tall => (60, 25), Shape.Square => (30, 30), _ => (25, 60) };
        Tensor A = Problems.Matrix(m, n, 100, 3, dtype), b = Problems.Random(4, m).to(dtype),
            g = Problems.Random(5, n).to(dtype);
        Tensor damp = tensor(value, dtype).requires_grad_();
        double lambda = Vectors.Read(damp.detach());
        var gradient = new GradientOptions { Tolerance = tolerance, WhenUnconverged = Unconverged.Accept };
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(A), b,
            new LsmrOptions { Damp = damp, Atol = tolerance, Btol = tolerance, Gradient = gradient });
        double found = Vectors.Read(Gradient.Of(result.Solution.mul(g).sum(), damp)[0]);
        GradientError bound = result.GradientReport!.Damp!.Value;
        (Tensor x, Tensor w) = Truth(A, b, lambda, g);
        double truth = -2 * lambda * Vectors.Dot(w, x), error = Math.Abs(found - truth);
        TestContext.Out.WriteLine($"error {error:E1}, bound {bound.Absolute:E1}, of {truth:E1}");
        Assert.That(error, Is.LessThanOrEqualTo(bound.Absolute));
        Assert.That(error, Is.Positive, "so that a bound of zero would not pass");
        Assert.That(bound.Norm, Is.EqualTo(Math.Abs(found)).Within(1e-5 * Math.Abs(found)));
        if (dtype == float64 && tolerance == 1e-8 && value == 1)
            Assert.That(bound.Relative, Is.LessThan(1e-5), "a bound that says nothing is none");
    }

    /// <summary>
    /// Diagonal problems of one or a few entries: there the recomputed residual is often exactly zero, and p and w are
    /// not exact, so that only the allowance for the residual's own round-off makes the bound one.
    /// </summary>
    [Test]
    public void The_allowance_for_round_off_makes_up_for_residuals_that_vanish_in_rounding(
        [Values(1, 2, 5)] int n, [Values(0.3, 1, 3)] double damp,
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        int vanished = 0, wouldFail = 0;
        for (int seed = 0; seed < 40; seed++) {
            using var inner = NewDisposeScope();
            Tensor diagonal = (Problems.Random(seed, n).abs() + 0.5).to(dtype), A = diagonal.diag().requires_grad_();
            Tensor b = Problems.Random(seed + 100, n).to(dtype).requires_grad_(),
                g = Problems.Random(seed + 200, n).to(dtype);
            var gradient = new GradientOptions { Tolerance = 0, WhenUnconverged = Unconverged.Accept };
            var options = new LsmrOptions { Damp = damp, Atol = 0, Btol = 0, Gradient = gradient };
            LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(A), b, options);
            Tensor[] found = Gradient.Of(result.Solution.mul(g).sum(), A, b);
            GradientReport report = result.GradientReport!;
            (Tensor x, Tensor w, Tensor p) = Exact(diagonal, b, damp, g);
            Tensor r = b.detach().to(float64) - diagonal.to(float64) * x;
            double ofB = Vectors.Norm(found[1].to(float64) - p),
                ofA = Vectors.Norm(found[0].to(float64) - (r.outer(w) - p.outer(x)));
            // The truth is itself right to some units of float64's last place.
            double slack = 8 * Vectors.Epsilon(ScalarType.Float64);
            Assert.That(ofB, Is.LessThanOrEqualTo(report.RightHandSide.Absolute + slack * Vectors.Norm(p)),
                $"of dL/db, seed {seed}");
            Assert.That(ofA, Is.LessThanOrEqualTo(report.Operator!.Value.Absolute + slack * report.Operator.Value.Norm),
                $"of dL/dA, seed {seed}");
            if (report.RelativeResidual == 0)
                vanished++;
            if (report.RelativeResidual == 0 && ofB > slack * Vectors.Norm(p))
                wouldFail++;
        }
        TestContext.Out.WriteLine($"{vanished} residuals of 40 vanished, of {wouldFail} the gradient had an error");
        if (n == 1 && damp == 1 && dtype == float32)
            Assert.That(wouldFail, Is.Positive, "so that a bound without the allowance would not pass");
    }

    // Of a diagonal matrix, entry by entry.
    private static (Tensor X, Tensor W, Tensor P) Exact(Tensor diagonal, Tensor b, double damp, Tensor g)
    {
        Tensor a = diagonal.to(float64), square = a * a + damp * damp, w = g.to(float64) / square;
        return (a * b.detach().to(float64) / square, w, a * w);
    }
}
