using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>
/// Under A → sA, b → tb, λ → sλ, x0 → (t/s)x0 and g → ug the solution is (t/s)x, and p (u/s)p, w (u/s²)w: no threshold anywhere has a
/// size of its own.
/// </summary>
public class ScaleTests
{
    private sealed record Solved(LsmrStop Stop, int Iterations, int BackwardIterations, Tensor X, Tensor[] Gradients);

    private static Solved Solve(Shape shape, double damp, ScalarType dtype, double s, double t, double u, bool deficient = false)
    {
        (long m, long n) = Problems.Size(shape);
        Tensor A = (Problems.Matrix(m, n, 10, 1, dtype, deficient) * s).detach().requires_grad_(), b = (Problems.Random(2, m).to(dtype) * t).requires_grad_();
        Tensor x0 = (Problems.Random(3, n).to(dtype) * (t / s)).requires_grad_(), lambda = tensor(damp * s, dtype).requires_grad_(), g = Problems.Random(4, n).to(dtype) * u;
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b, lambda, x0);
        // The sum's gradient is g itself; multiplied through a number it would leave float32.
        Tensor[] gradients = Gradient.Of(result.Solution.mul(g).sum(), A, b, lambda, x0);
        return new Solved(result.Stop, result.Iterations, result.GradientReport!.Iterations, result.Solution.detach(), gradients);
    }

    // What each of x and the gradients to A, b, lambda, x0 is multiplied by.
    private static double[] Factors(double s, double t, double u) => [t / s, u * t / (s * s), u / s, u * t / (s * s), u];

    private static Tensor[] All(Solved solved) => [solved.X, .. solved.Gradients];

    [Test]
    public void Powers_of_two_change_no_digit_no_stop_and_no_iteration(
        [Values] Shape shape, [Values(0, 0.25)] double damp, [Values] bool deficient, [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        Solved plain = Solve(shape, damp, dtype, 1, 1, 1, deficient);
        int most = dtype == ScalarType.Float32 ? 20 : 40;       // 2^40 is 1e12; w ~ u/s² and its squares must fit in float32
        foreach ((int i, int j, int k) in new[] { (most, 0, 0), (-most, 0, 0), (0, most, 0), (0, -most, 0), (0, 0, most), (0, 0, -most), (most, -most, most), (-most, most, -most) }) {
            (double s, double t, double u) = (Math.Pow(2, i), Math.Pow(2, j), Math.Pow(2, k));
            Solved scaled = Solve(shape, damp, dtype, s, t, u, deficient);
            Assert.That((scaled.Stop, scaled.Iterations, scaled.BackwardIterations), Is.EqualTo((plain.Stop, plain.Iterations, plain.BackwardIterations)), $"s, t, u = {s}, {t}, {u}");
            foreach ((Tensor found, Tensor expected, double factor) in All(scaled).Zip(All(plain), Factors(s, t, u)))
                Assert.That(Problems.Values(found), Is.EqualTo(Problems.Values(expected).Select(x => x * factor)), $"s, t, u = {s}, {t}, {u}");
        }
    }

    [Test]
    public void Other_scales_change_an_iteration_and_rounding_at_most(
        [Values] Shape shape, [Values(0, 0.25)] double damp, [Values(1e-12, 1e12)] double s, [Values(1e-12, 1e12)] double t, [Values(1e-12, 1e12)] double u,
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        double[] factors = Factors(s, t, u);
        bool single = dtype == ScalarType.Float32;
        // In float32 the numbers themselves, and w of the size u/s², must fit with room for their digits.
        if (single && factors.Append(u / (s * s)).Append(t).Any(f => f is > 1e35 or < 1e-30))
            Assert.Pass("float32 does not hold these numbers");
        Solved plain = Solve(shape, damp, dtype, 1, 1, 1), scaled = Solve(shape, damp, dtype, s, t, u);
        Assert.That(scaled.Stop, Is.EqualTo(plain.Stop));
        Assert.That(scaled.Iterations, Is.EqualTo(plain.Iterations).Within(1));
        Assert.That(scaled.BackwardIterations, Is.EqualTo(plain.BackwardIterations).Within(2));
        foreach ((Tensor found, Tensor expected, double factor) in All(scaled).Zip(All(plain), factors)) {
            Tensor truth = expected.to(float64) * factor;
            double size = Vectors.Norm(truth);
            // The defaults' tolerances (1e-6 or 1e-10) times cond^2, since an iteration more or less may be done.
            Assert.That(Vectors.Norm(found.to(float64) - truth), Is.LessThanOrEqualTo((single ? 1e-3 : 1e-7) * Math.Max(size, factor * 1e-3)));
        }
    }

    [Test]
    public void An_overflow_of_w_in_float32_is_said()
    {
        using var scope = NewDisposeScope();
        var warnings = new List<string>();
        Diagnostics.Warning += warnings.Add;
        try {
            Assert.That(() => Solve(Shape.Tall, 0, float32, 1e-12, 1e-12, 1e16), Throws.InstanceOf<LsmrException>());
            Assert.That(warnings, Has.Some.Contains("NonFinite"));
        } finally {
            Diagnostics.Warning -= warnings.Add;
        }
    }
}
