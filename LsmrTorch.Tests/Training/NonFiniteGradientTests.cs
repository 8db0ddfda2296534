using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>A step with a gradient that is not finite, or whose square is not, leaves no trace, whatever is
/// projected.</summary>
public class NonFiniteGradientTests
{
    private const int Bad = 2, Steps = 6;

    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static readonly Dictionary<string, Func<Parameter[], optim.Optimizer>> Optimizers = new() {
        ["SGD"] = p => optim.SGD(p, 0.05),
        ["momentum"] = p => optim.SGD(p, 0.05, momentum: 0.9),
        ["Adam"] = p => optim.Adam(p, 0.05),
        ["AMSGrad"] = p => optim.Adam(p, 0.05, amsgrad: true),
        ["AdamW"] = p => optim.AdamW(p, 0.05),
        ["Adamax"] = p => optim.Adamax(p, 0.05),
        ["NAdam"] = p => optim.NAdam(p, 0.05),
        ["RAdam"] = p => optim.RAdam(p, 0.05),
        ["RMSProp"] = p => optim.RMSProp(p, 0.02),
        ["Adagrad"] = p => optim.Adagrad(p, 0.05),
        ["Adadelta"] = p => optim.Adadelta(p, 1),
        ["Rprop"] = p => optim.Rprop(p, 0.01),
        ["ASGD"] = p => optim.ASGD(p, 0.02),
    };

    private static readonly string[] KeepSquares = ["Adam", "AMSGrad", "AdamW", "NAdam", "RAdam", "RMSProp", "Adagrad",
        "Adadelta"];

    private sealed class Run
    {
        private readonly Tensor goal, M;

        public Run(Func<Parameter[], optim.Optimizer> inner, ProjectionOrder order, ScalarType dtype,
            bool isClosed = false)
        {
            Parameters = [new(Problems.Random(1, 3, 2).to(dtype)), new(Problems.Random(2, 6).to(dtype))];
            (goal, M) = (Problems.Random(3, 12).to(dtype), Problems.Random(7, 4, 12).to(dtype));
            Constraint constraint = isClosed
                ? Constraint.Norm(Parameters[0], 1)
                : Constraint.FromResidual(() => M.mv(Vectors.Flatten(Parameters)));
            Optimizer = new NullSpaceOptimizer(inner(Parameters), Parameters, constraint, 0.3) { Order = order };
        }

        public Parameter[] Parameters { get; }

        public NullSpaceOptimizer Optimizer { get; }

        public double[] Theta => Problems.Values(Vectors.Flatten(Parameters));

        public NullSpaceReport Step(double? bad = null)
        {
            Optimizer.zero_grad();
            Vectors.Flatten(Parameters).sub(goal).square().sum().backward();
            if (bad is { } value) {
                using var guard = no_grad();
                Parameters[1].grad![3] = (Tensor)value;
            }
            return Optimizer.step();
        }
    }

    private static void GoesOnAsIfItHadNotBeen(Run run, Run twin, double bad)
    {
        for (int i = 0; i < Steps; i++) {
            double[] before = run.Theta;
            NullSpaceReport report = run.Step(i == Bad ? bad : null);
            if (i == Bad) {
                Assert.That((report.Applied, report.Stop, report.Projected),
                    Is.EqualTo((false, LsmrStop.NonFinite, true)));
                Assert.That(report.StepNorm, Is.NaN);
                Assert.That(run.Theta, Is.EqualTo(before), "the parameters stay");
            } else {
                Assert.That(report.Applied, report.ToString());
                twin.Step();
            }
        }
        Assert.That(run.Theta, Is.EqualTo(twin.Theta), "to the bit");
        Assert.That(run.Theta, Has.All.Matches<double>(double.IsFinite));
        Assert.That(run.Optimizer.Steps, Is.EqualTo(Steps));
    }

    public static IEnumerable<string> Names => Optimizers.Keys;

    [Test]
    public void A_gradient_that_is_not_finite_leaves_no_trace(
        [ValueSource(nameof(Names))] string name, [Values] ProjectionOrder order,
            [Values(double.NaN, double.NegativeInfinity)] double bad) =>
        GoesOnAsIfItHadNotBeen(new(Optimizers[name], order, float64), new(Optimizers[name], order, float64), bad);

    [Test]
    public void A_gradient_whose_square_overflows_leaves_no_trace_where_squares_are_kept(
        [ValueSource(nameof(Names))] string name, [Values] ProjectionOrder order,
            [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype)
    {
        double bad = dtype == ScalarType.Float32 ? -1e20 : 1e160;
        Run run = new(Optimizers[name], order, dtype), twin = new(Optimizers[name], order, dtype);
        if (order == ProjectionOrder.Metric || KeepSquares.Contains(name))
            GoesOnAsIfItHadNotBeen(run, twin, bad);
        else
            Assert.That(run.Step(bad).Applied, "its step is finite, and like any other");
    }

    [Test]
    public void A_large_gradient_of_plain_descent_is_projected_like_any_other([Values(ProjectionOrder.Step,
        ProjectionOrder.Gradient)] ProjectionOrder order)
    {
        Parameter theta = new(Problems.Random(1, 6).to(float32));
        Tensor M = Problems.Random(2, 2, 6), g = Problems.Random(3, 6), before = theta.detach().to(float64);
        var optimizer = new NullSpaceOptimizer(optim.SGD([theta], 1e-20), [theta], () => M.to(float32).mv(theta),
            1) { Order = order };
        theta.mul((g * 1e20).to(float32)).sum().backward();
        NullSpaceReport report = optimizer.step();
        Assert.That(report.Applied);
        Tensor expected = before - g;                                   // the step is g, and then nothing of c is left
        expected -= linalg.pinv(M).mv(M.mv(expected));
        Check.Close(theta.detach().to(float64), expected, 1e-5, "theta");
    }

    [Test]
    public void The_largest_gradient_whose_square_is_finite_is_kept([Values(ScalarType.Float32,
        ScalarType.Float64)] ScalarType dtype)
    {
        double root = Math.Sqrt(dtype == ScalarType.Float32 ? float.MaxValue : double.MaxValue);
        Run run = new(Optimizers["SGD"], ProjectionOrder.Metric, dtype);
        Assert.That(run.Step(root * 1.001).Applied, Is.False);
        Parameter[] many = [.. Enumerable.Range(0, 3).Select(i => new Parameter(ones(4, dtype)))];
        var optimizer = new NullSpaceOptimizer(optim.SGD(many, 0.0), many, () => many[0].sum().reshape(1),
            1) { Order = ProjectionOrder.Metric };
        foreach (Parameter parameter in many)
            parameter.grad = full([4], root * 0.999, dtype);            // whose norm is over the root
        Assert.That(optimizer.step().Applied);
        Assert.That(Problems.Values(many[0]), Is.All.Zero.Within(1e-6));
    }

    [Test]
    public void A_constraint_in_closed_form_and_a_warm_up_skip_it_too([Values] ProjectionOrder order,
        [Values] bool isWarmUp)
    {
        Run run = new(Optimizers["Adam"], order, float64, isClosed: true),
            twin = new(Optimizers["Adam"], order, float64, isClosed: true);
        run.Optimizer.WarmUp = twin.Optimizer.WarmUp = isWarmUp ? 10 : 0;
        double[] before = run.Theta;
        NullSpaceReport report = run.Step(double.NaN);
        Assert.That((report.Applied, report.Projected), Is.EqualTo((false, !isWarmUp)));
        Assert.That(run.Theta, Is.EqualTo(before));
        for (int i = 0; i < 4; i++) {
            run.Step();
            twin.Step();
        }
        Assert.That(run.Theta, Is.EqualTo(twin.Theta));
    }

    [Test]
    public void A_gradient_of_a_parameter_that_the_constraint_does_not_have_counts_too([Values] ProjectionOrder order)
    {
        Parameter held = new(Problems.Random(1, 4)), other = new(Problems.Random(2, 3));
        double[] before = Problems.Values(other);
        var optimizer = new NullSpaceOptimizer(optim.Adam([held, other], 0.1), [held], () => held.sum().reshape(1),
            1) { Order = order };
        held.square().sum().add(other.mul(double.NaN).sum()).backward();
        Assert.That(optimizer.step().Applied, Is.False);
        optimizer.zero_grad();
        held.square().sum().add(other.square().sum()).backward();
        Assert.That(optimizer.step().Applied);
        Assert.That(Problems.Values(other), Is.Not.EqualTo(before).And.All.Matches<double>(double.IsFinite));
    }

    [Test]
    public void A_gradient_that_no_optimizer_reads_is_of_no_matter([Values] ProjectionOrder order,
        [Values] bool hasGradient)
    {
        Parameter read = new(Problems.Random(1, 4)), unread = new(Problems.Random(2, 3));
        Tensor M = Problems.Random(3, 2, 7);
        NullSpaceOptimizer optimizer = new(optim.SGD([read], 0.1), [read, unread], () => M.mv(cat([read, unread])),
            1) { Order = order };
        if (hasGradient)
            unread.grad = full([3], double.NaN, float64);
        read.square().sum().backward();
        Tensor c = M.mv(cat([read, unread])).detach();
        Assert.That(optimizer.step().Applied);
        Assert.That(Vectors.Norm(M.mv(cat([read, unread]))), Is.LessThan(1e-8 * Vectors.Norm(c)));
    }

    [Test]
    public void Gradients_that_a_closure_computes_are_those_that_count([Values(ProjectionOrder.Step,
        ProjectionOrder.Metric)] ProjectionOrder order)
    {
        Run run = new(Optimizers["Adam"], order, float64), twin = new(Optimizers["Adam"], order, float64);
        double factor = 1;
        Tensor Closure()
        {
            run.Optimizer.zero_grad();
            Tensor loss = Vectors.Flatten(run.Parameters).sub(Problems.Random(3, 12)).square().sum().mul(factor);
            loss.backward();
            return loss;
        }
        foreach (double next in new[] { 1, double.NaN, 1, 1 }) {
            factor = next;
            Assert.That(run.Optimizer.step(Closure).Applied, Is.EqualTo(double.IsFinite(next)));
            if (double.IsFinite(next))
                twin.Step();
        }
        Assert.That(run.Theta, Is.EqualTo(twin.Theta));
    }

    [Test]
    public void A_step_that_is_not_finite_is_not_taken_where_the_constraint_does_not_see_it()
    {
        Run run = new(p => optim.LBFGS(p, 0.5), ProjectionOrder.Step, float64, isClosed: true);
        double[] before = run.Theta;
        double factor = double.NaN;
        Tensor Closure()
        {
            run.Optimizer.zero_grad();
            Tensor loss = run.Parameters[1].sub(Problems.Random(3, 6)).square().sum().mul(factor);
            loss.backward();
            return loss;
        }
        NullSpaceReport report = run.Optimizer.step(Closure);
        Assert.That((report.Applied, report.Stop), Is.EqualTo((false, LsmrStop.NonFinite)));
        Assert.That(run.Theta, Is.EqualTo(before));
        run.Optimizer.Constraint = Constraint.Sparsity([]);
        Assert.That(run.Optimizer.step(Closure).Applied, Is.False, "without residuals");
        Assert.That(run.Theta, Is.EqualTo(before));
    }

    [Test]
    public void A_mask_does_not_hide_a_step_that_is_not_finite()
    {
        Parameter theta = new(ones(4, float64));
        Tensor mask = tensor(new[] { true, false, false, false });
        double factor = double.NaN;
        var optimizer = new NullSpaceOptimizer(optim.LBFGS([theta], 0.5), [theta], Constraint.Sparsity([(theta, mask)]),
            1);
        NullSpaceReport report = optimizer.step(() => {
            optimizer.zero_grad();
            Tensor loss = theta[1].square().mul(factor);
            loss.backward();
            return loss;
        });
        Assert.That((report.Applied, report.Stop), Is.EqualTo((false, LsmrStop.NonFinite)));
        Assert.That(Problems.Values(theta), Is.All.EqualTo(1));
    }
}
