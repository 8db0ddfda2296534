using System.Runtime.InteropServices;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>What a backward pass promises, against the true error, and what it cost.</summary>
public class GradientReportTests
{
    /// <summary>The dense float64 truth of p, w, x and ∂L/∂A by an SVD, and the error of what was found against it.</summary>
    private sealed record Truth(Tensor P, Tensor W, Tensor Gradient)
    {
        public static Truth Of(Tensor A, Tensor b, double damp, Tensor g)
        {
            (Tensor U, Tensor S, Tensor Vh) = linalg.svd(A.detach().to(float64), false);
            Tensor square = S.square() + damp * damp, b64 = b.detach().to(float64), g64 = g.to(float64);
            Tensor Vg = Vh.mv(g64), x = Vh.t().mv(S / square * U.t().mv(b64)), r = b64 - U.mv(S * Vh.mv(x));
            // With fewer rows than columns w has a part outside the row space, g / damp^2 there.
            Tensor w = Vh.t().mv(Vg / square);
            if (damp > 0)
                w += (g64 - Vh.t().mv(Vg)) / (damp * damp);
            Tensor p = U.mv(S / square * Vg);
            return new Truth(p, w, r.outer(w) - p.outer(x));
        }

        public double ErrorOf(Tensor found, Tensor truth) => Vectors.Norm(found.to(float64) - truth);
    }

    private static (LsmrResult Result, Tensor A, Tensor b) Solved(Tensor matrix, Tensor rhs, Damping damp, Tensor g, LsmrOptions options)
    {
        Tensor A = matrix.detach().requires_grad_(), b = rhs.detach().requires_grad_();
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(A), b, options with { Damp = damp });
        Tensor[] found = Gradient.Of(result.Solution.mul(g).sum(), A, b);
        return (result, found[0], found[1]);
    }

    [Test]
    public void The_certificate_is_never_below_the_true_error(
        [Values] Shape shape, [Values(1e-1, 1e-2, 1e-3)] double damp, [Values(10, 1e4)] double cond,
        [Values(1e-3, 1e-6, 1e-9, 0)] double tolerance, [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = shape switch { Shape.Tall => (60, 25), Shape.Square => (30, 30), _ => (25, 60) };
        Tensor M = Problems.Matrix(m, n, cond, 3, dtype), b = Problems.Random(4, m).to(dtype), g = Problems.Random(5, n).to(dtype);
        var options = new LsmrOptions {
            Atol = tolerance,
            Btol = tolerance,
            ConditionLimit = 1e15,
            MaxIterations = 5000,
            Gradient = new GradientOptions { Tolerance = tolerance, MaxIterations = 5000, WhenUnconverged = Unconverged.Accept },
        };
        (LsmrResult result, Tensor dA, Tensor db) = Solved(M, b, damp, g, options);
        GradientReport report = result.GradientReport!;
        Truth truth = Truth.Of(M, b, damp, g);
        Assert.That(report.Kind, Is.EqualTo(GradientErrorKind.Certified).Or.EqualTo(GradientErrorKind.NotCertifiable));
        Assert.That(truth.ErrorOf(dA, truth.Gradient), Is.LessThanOrEqualTo(report.Operator!.Value.Absolute), "of dL/dA");
        Assert.That(truth.ErrorOf(db, truth.P), Is.LessThanOrEqualTo(report.RightHandSide.Absolute), "of dL/db");
        // The norms are those of what was found.
        Assert.That(report.Operator.Value.Norm, Is.EqualTo(Vectors.Norm(dA)).Within(1e-3 * Vectors.Norm(dA)), "|dL/dA|");
        Assert.That(report.RightHandSide.Norm, Is.EqualTo(Vectors.Norm(db)).Within(1e-6 * Vectors.Norm(db)), "|dL/db|");
        Assert.That(report.Runs, Is.EqualTo(1));
    }

    [Test]
    public void Gradients_to_a_chosen_error_have_it([Values(1e-3, 1e-6)] double target, [Values(0.3, 1e-2)] double damp, [Values] Shape shape)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = shape switch { Shape.Tall => (60, 25), Shape.Square => (30, 30), _ => (25, 60) };
        Tensor M = Problems.Matrix(m, n, 100, 3), b = Problems.Random(4, m), g = Problems.Random(5, n);
        // Loose tolerances: the target decides.
        var options = new LsmrOptions { Atol = 1e-2, Btol = 1e-2, Gradient = new GradientOptions { Tolerance = 1e-1, ErrorTarget = target } };
        (LsmrResult result, Tensor dA, Tensor db) = Solved(M, b, damp, g, options);
        GradientReport report = result.GradientReport!;
        Truth truth = Truth.Of(M, b, damp, g);
        Assert.That(report.Kind, Is.EqualTo(GradientErrorKind.Certified));
        Assert.That(report.WorstRelative, Is.LessThanOrEqualTo(target));
        Assert.That(truth.ErrorOf(dA, truth.Gradient), Is.LessThanOrEqualTo(target * Vectors.Norm(dA)));
        Assert.That(truth.ErrorOf(db, truth.P), Is.LessThanOrEqualTo(target * Vectors.Norm(db)));
    }

    [Test]
    public void An_error_that_the_precision_cannot_have_is_refused_or_reported()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(30, 20, 1e3, 3, float32), b = Problems.Random(4, 30).to(float32), g = Problems.Random(5, 20).to(float32);
        var gradient = new GradientOptions { ErrorTarget = 1e-5 };
        Assert.That(() => Solved(M, b, 1e-3, g, new LsmrOptions { Gradient = gradient }),
            Throws.InstanceOf<LsmrException>().With.Message.Contains("over the target"));
        (LsmrResult result, _, _) = Solved(M, b, 1e-3, g, new LsmrOptions { Gradient = gradient with { WhenUnconverged = Unconverged.Accept } });
        Assert.That(result.GradientReport!.Kind, Is.EqualTo(GradientErrorKind.NotCertifiable));
        Assert.That(() => Solved(M, b, 0, g, new LsmrOptions { Gradient = gradient }), Throws.ArgumentException.With.Message.Contains("damping above zero"));
    }

    [TestCase(0)]
    [TestCase(1e-2)]
    public void On_illc1033_w_is_right_at_a_nominal_tolerance(double damp)
    {
        RealData.RealCase expected = RealData.RealCases().OfType<RealData.RealCase>().FirstOrDefault(c => c.Name == "illc1033" && c.Damp == damp)
            ?? throw SkipWithout();
        using var scope = NewDisposeScope();
        (LinearOperator A, Tensor b) = RealData.Matrix("illc1033");
        Tensor M = Dense(A), i = arange(A.Columns, float64), g = (1 - 2 * i.remainder(2)) / (1 + i);
        // A matrix operator E_w with cotangents cannot be seen from outside: dL/dA applied to A'r gives w through r w'.
        CraigmrResult run = Craigmr.Solve(A.T, g, new CraigmrOptions { Damp = damp, Tolerance = 1e-6 });
        Truth truth = Truth.Of(M, b, damp, g);
        double error = truth.ErrorOf(run.Multiplier, truth.W) / Vectors.Norm(truth.W);
        TestContext.Out.WriteLine($"illc1033, damp {damp}: relative error of w {error:E1} after {run.Iterations} iterations");
        Assert.That(error, Is.LessThanOrEqualTo(1e-5));
        Assert.That(Vectors.Norm(truth.W), Is.EqualTo(expected.Norm_w).Within(1e-7 * expected.Norm_w), "the reference");
    }

    [TestCase(1e-1)]
    [TestCase(1e-2)]
    [TestCase(1e-3)]
    public void On_illc1033_the_certificate_is_not_below_the_true_error(double damp)
    {
        if (RealData.RealCases().OfType<RealData.RealCase>().All(c => c.Name != "illc1033"))
            throw SkipWithout();
        using var scope = NewDisposeScope();
        (LinearOperator op, Tensor b) = RealData.Matrix("illc1033");
        Tensor M = Dense(op), i = arange(op.Columns, float64), g = (1 - 2 * i.remainder(2)) / (1 + i);
        Truth truth = Truth.Of(M, b, damp, g);
        foreach (double tolerance in new[] { 1e-4, 1e-6, 1e-8 }) {
            var options = new LsmrOptions { Atol = tolerance, Btol = tolerance, ConditionLimit = 1e12, Gradient = new GradientOptions { Tolerance = tolerance } };
            (LsmrResult result, Tensor dA, Tensor db) = Solved(M, b, damp, g, options);
            GradientReport report = result.GradientReport!;
            double error = truth.ErrorOf(dA, truth.Gradient);
            TestContext.Out.WriteLine($"damp {damp}, tolerance {tolerance}: error {error / report.Operator!.Value.Norm:E1}, {report}");
            Assert.That(error, Is.LessThanOrEqualTo(report.Operator.Value.Absolute), "of dL/dA");
            Assert.That(truth.ErrorOf(db, truth.P), Is.LessThanOrEqualTo(report.RightHandSide.Absolute), "of dL/db");
        }
    }

    [TestCase(Shape.Tall, 0.0, false, 1)]
    [TestCase(Shape.Square, 0.0, false, 1)]
    [TestCase(Shape.Tall, 0.3, true, 1)]
    [TestCase(Shape.Square, 0.3, true, 1)]
    [TestCase(Shape.Wide, 0.3, true, 1)]
    [TestCase(Shape.Wide, 0.0, false, 2)]
    [TestCase(Shape.Tall, 0.0, true, 3)]
    [TestCase(Shape.Wide, 0.0, true, 3)]
    public void A_backward_pass_takes_no_more_runs_than_it_must(Shape shape, double damp, bool deficient, int runs)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        (LsmrResult result, _, _) = Solved(Problems.Matrix(m, n, 10, 1, deficient: deficient), Problems.Random(2, m), damp, Problems.Random(3, n), new LsmrOptions());
        Assert.That(result.GradientReport!.Runs, Is.EqualTo(runs));
    }

    [Test]
    public void A_gradient_to_b_alone_takes_one_run([Values] Shape shape, [Values] bool deficient)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        Tensor b = Problems.Random(2, m).requires_grad_();
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(Problems.Matrix(m, n, 10, 1, deficient: deficient)), b);
        result.Solution.sum().backward();
        Assert.That(result.GradientReport!.Runs, Is.EqualTo(1));
        Assert.That(result.GradientReport.Operator, Is.Null);
    }

    [Test]
    public void The_error_of_the_gradient_to_the_start_is_reported_where_it_is_asked([Values(0, 0.3)] double damp, [Values] bool asked)
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(14, 6, 10, 1), b = Problems.Random(2, 14).requires_grad_(), x0 = Problems.Random(3, 6).requires_grad_(asked), g = Problems.Random(4, 6);
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(M), b, new LsmrOptions { Damp = damp, Start = x0, Gradient = new() { Tolerance = 1e-4 } });
        Tensor[] found = Gradient.Of(result.Solution.mul(g).sum(), asked ? [b, x0] : [b]);
        GradientReport report = result.GradientReport!;
        Assert.That(report.Start is not null, Is.EqualTo(asked && damp > 0));
        if (report.Start is not { } start)
            return;
        Tensor truth = g - M.t().mm(M).mv(linalg.solve(M.t().mm(M) + damp * damp * eye(6, dtype: float64), g));
        Assert.That(Vectors.Norm(found[1] - truth), Is.LessThanOrEqualTo(start.Absolute));
        Assert.That(start.Norm, Is.EqualTo(Vectors.Norm(found[1])).Within(1e-12));
        Assert.That(report.WorstRelative, Is.GreaterThanOrEqualTo(start.Relative));
    }

    [Test]
    public void Without_an_audit_the_report_knows_no_error_and_before_a_backward_pass_there_is_none()
    {
        using var scope = NewDisposeScope();
        Tensor b = Problems.Random(2, 14).requires_grad_();
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(Problems.Matrix(14, 6, 10, 1)), b, new LsmrOptions { Audit = false });
        Assert.That((result.Audit, result.GradientReport), Is.EqualTo((default(LsmrAudit?), default(GradientReport))));
        result.Solution.sum().backward();
        Assert.That(result.GradientReport!.Kind, Is.EqualTo(GradientErrorKind.Unknown));
    }

    [Test]
    public void A_transpose_that_is_none_is_found_by_the_audits()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(14, 6, 10, 1), wrong = M + 1e-3 * Problems.Random(9, 14, 6), b = Problems.Random(2, 14).requires_grad_();
        LinearOperator A = LinearOperator.FromMatVec(v => M.mv(v), u => wrong.t().mv(u), [6], float64);
        LsmrResult forward = linalg.lsmr(A, b.detach());
        Assert.That(forward.Stop, Is.EqualTo(LsmrStop.NotConfirmed), forward.ToString());
        LsmrResult result = Lsmr.Solve(A, b, new LsmrOptions { Atol = 1e-2, Btol = 1e-2 });     // a tolerance under which the forward solve passes
        Assert.That(() => result.Solution.sum().backward(), Throws.InstanceOf<ExternalException>());
    }

    private static Tensor Dense(LinearOperator A) => stack(eye(A.Columns, dtype: float64).unbind(0).Select(A.Apply).ToArray(), 1);

    private static Exception SkipWithout()
    {
        SharedData.Require("least_squares_cases.json");
        return new InconclusiveException("not reached");
    }
}
