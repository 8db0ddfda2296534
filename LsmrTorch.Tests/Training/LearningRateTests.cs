using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>Projected gradients keep κ's promise whatever the learning rates of the groups are.</summary>
public class LearningRateTests
{
    private DisposeScope scope = null!;
    private Tensor M = null!, target = null!;
    private Parameter first = null!, second = null!;

    [SetUp]
    public void OpenScope()
    {
        scope = NewDisposeScope();
        (M, target) = (Problems.Random(7, 3, 10), Problems.Random(8, 3));
        (first, second) = (new Parameter(Problems.Random(1, 2, 2)), new Parameter(Problems.Random(2, 6)));
    }

    [TearDown]
    public void CloseScope()
    {
        M.Dispose();
        target.Dispose();
        first.Dispose();
        second.Dispose();
        scope.Dispose();
    }

    private Tensor Theta => Vectors.Flatten([first, second]).detach();

    private Tensor Residual() => M.mv(Vectors.Flatten([first, second])).sub(target);

    private NullSpaceOptimizer Around(optim.Optimizer inner, double rate = 0.3) =>
        new(inner, [first, second], Residual, rate) { Order = ProjectionOrder.Gradient };

    private static SGD Groups(params SGD.ParamGroup[] groups) => optim.SGD(groups, 0.5);

    private NullSpaceReport Step(NullSpaceOptimizer optimizer)
    {
        optimizer.zero_grad();
        Vectors.Flatten([first, second]).pow(4).sum().backward();
        return optimizer.step();
    }

    private Tensor Gradient() => Vectors.Flatten([first.grad!, second.grad!]).clone();

    // Delta' = Delta − D (J D)⁺ (J Delta + kappa c), with Delta = −eta g and D = 1 where eta is not 0, by dense
    // algebra.
    private Tensor Expected(double firstRate, double secondRate, double rate = 0.3)
    {
        Tensor eta = cat([full([4], firstRate, float64), full([6], secondRate, float64)]), D = eta.ne(0).to(float64);
        Tensor theta = Theta, delta = -eta * 4 * theta.pow(3);
        return theta + delta - D * linalg.pinv(M * D).mv(M.mv(delta) + rate * (M.mv(theta) - target));
    }

    [Test]
    public void Groups_of_different_rates_take_a_linear_constraint_to_one_minus_the_rate(
        [Values(0.03, 1e-4, -0.01, 0)] double firstRate, [Values(0.02, 1e-3)] double secondRate)
    {
        NullSpaceOptimizer optimizer = Around(Groups(new([first], lr: firstRate), new([second], lr: secondRate)));
        for (int i = 0; i < 3; i++) {
            Tensor c = Residual().detach(), expected = Expected(firstRate, secondRate), still = first.detach().clone();
            NullSpaceReport report = Step(optimizer);
            Check.Close(Residual().detach(), c * 0.7, 1e-8, "c after the step", floor: 1);
            Check.Close(Theta, expected, 1e-8, "theta");
            Assert.That(report.PredictedConstraintNorm, Is.EqualTo(0.7 * report.ConstraintNorm).Within(1e-8));
            if (firstRate == 0)
                Assert.That(Problems.Values(first), Is.EqualTo(Problems.Values(still)), "what has no rate stays");
        }
    }

    [Test]
    public void It_is_the_projected_step_of_plain_descent_where_every_group_moves()
    {
        Parameter[] twins = [new(first.detach().clone()), new(second.detach().clone())];
        SGD inner = Groups(new([first], lr: 0.03), new([second], lr: 0.002));
        SGD twinInner = Groups(new([twins[0]], lr: 0.03), new([twins[1]], lr: 0.002));
        NullSpaceOptimizer optimizer = Around(inner);
        var step = new NullSpaceOptimizer(twinInner, twins, () => M.mv(Vectors.Flatten(twins)).sub(target), 0.3);
        for (int i = 0; i < 3; i++) {
            Step(optimizer);
            step.zero_grad();
            Vectors.Flatten(twins).pow(4).sum().backward();
            step.step();
            Check.Close(Theta, Vectors.Flatten(twins).detach(), 1e-8, $"step {i}");
        }
    }

    [Test]
    public void Rates_that_change_are_followed()
    {
        SGD inner = Groups(new([first], lr: 0.03), new([second], lr: 0.02));
        NullSpaceOptimizer optimizer = Around(inner);
        double[] firstRates = [0.03, 0.01, 0, 0.03], secondRates = [0.02, 0.02, 0.02, 0];
        optim.ILearningRateController[] groups = [.. inner.ParamGroups];
        for (int i = 0; i < 4; i++) {
            // as a scheduler sets them
            (groups[0].LearningRate, groups[1].LearningRate) = (firstRates[i], secondRates[i]);
            Tensor c = Residual().detach(), expected = Expected(firstRates[i], secondRates[i]);
            Step(optimizer);
            Check.Close(Theta, expected, 1e-8, $"step {i}");
            Check.Close(Residual().detach(), c * 0.7, 1e-8, $"c after step {i}", floor: 1);
        }
    }

    [Test]
    public void A_parameter_that_the_inner_optimizer_does_not_have_stays_and_the_others_satisfy_the_constraint()
    {
        NullSpaceOptimizer optimizer = Around(optim.SGD([second], 0.01));
        Tensor c = Residual().detach(), expected = Expected(0, 0.01);
        Step(optimizer);
        Check.Close(Theta, expected, 1e-8, "theta");
        Check.Close(Residual().detach(), c * 0.7, 1e-8, "c", floor: 1);
    }

    [Test]
    public void No_freedom_is_told_of_those_that_have_a_rate()
    {
        M = Problems.Random(7, 6, 10);
        target = Problems.Random(8, 6);
        Assert.That(Step(Around(Groups(new([first], lr: 0), new([second], lr: 0.01)))).NoFreedom,
            "six residuals, six entries that move");
        Assert.That(Step(Around(Groups(new([first], lr: 0.01), new([second], lr: 0.01)))).NoFreedom, Is.False);
        M = Problems.Random(7, 3, 10);
        target = Problems.Random(8, 3);
        NullSpaceReport report = Step(Around(Groups(new([first], lr: 0.01), new([second], lr: 0))));
        Assert.That((report.NoFreedom, report.FreeShare), Is.EqualTo((false, (double?)null)),
            "three residuals, four entries");
    }

    [Test]
    public void An_optimizer_that_maximises_satisfies_the_constraint_too()
    {
        NullSpaceOptimizer optimizer = Around(optim.SGD([first, second], 0.01, maximize: true));
        Tensor c = Residual().detach(), expected = Expected(-0.01, -0.01);
        Step(optimizer);
        Check.Close(Theta, expected, 1e-8, "theta");
        Check.Close(Residual().detach(), c * 0.7, 1e-8, "c", floor: 1);
    }

    [Test]
    public void Another_optimizer_sees_the_gradient_of_that_step()
    {
        optim.Optimizer inner = optim.Adam([new Adam.ParamGroup([first], lr: 0.03),
            new Adam.ParamGroup([second], lr: 0.002)], 0.5);
        Tensor expected = Expected(0.03, 0.002), before = Theta;
        Step(Around(inner));
        Tensor eta = cat([full([4], 0.03, float64), full([6], 0.002, float64)]);
        Check.Close(Gradient(), (before - expected) / eta, 1e-8, "g'");
    }

    [Test]
    public void Without_any_rate_nothing_moves_and_the_gradient_stays()
    {
        double[] before = Problems.Values(Theta);
        NullSpaceOptimizer optimizer = Around(Groups(new([first], lr: 0), new([second], lr: 0)));
        NullSpaceReport report = Step(optimizer);
        Assert.That(report.Projected, Is.False);
        Assert.That(Problems.Values(Theta), Is.EqualTo(before));
        Check.Close(Gradient(), 4 * Theta.pow(3), 1e-14, "g");
    }

    [Test]
    public void A_step_that_is_not_applied_leaves_the_gradient_as_it_was([Values] bool isSingle)
    {
        Parameter[] of = isSingle ? [second] : [first, second];
        Tensor nan = tensor(double.NaN, float64);
        var optimizer = new NullSpaceOptimizer(optim.SGD(of, 0.01), of, () =>
            second.mul(nan)) { Order = ProjectionOrder.Gradient };
        Assert.That(Step(optimizer).Applied, Is.False);
        Check.Close(Gradient(), 4 * Theta.pow(3), 1e-14, "g");
        second.grad!.zero_();
        NullSpaceOptimizer tiny = Around(optim.SGD([first, second], 1e-320));
        Assert.That(Step(tiny).Applied, Is.False, "its gradient would not be finite");
        Check.Close(Gradient(), 4 * Theta.pow(3), 1e-14, "g");
    }

    [Test]
    public void Rates_that_do_not_tell_are_refused()
    {
        var silent = new SilentOptimizer([first, second], [0.1, 0.01]);
        Assert.That(() => Step(Around(silent)), Throws.ArgumentException
            .With.Message.Contains("SilentOptimizer does not tell").And.Message.Contains("0.1, 0.01"));
        Assert.That(() => Step(Around(new SilentOptimizer([first, second], []))), Throws.ArgumentException
            .With.Message.Contains("use ProjectionOrder.Step"));
        Assert.That(() => Step(Around(optim.SGD([first, second], double.NaN))), Throws.ArgumentException
            .With.Message.Contains("must be finite, but is NaN"));
        Assert.That(() => Step(Around(optim.LBFGS([first, second], 0.1))), Throws.ArgumentException
            .With.Message.Contains("closure"));
        var one = new SilentOptimizer([first, second], [0.1, 0.1]);
        Tensor expected = Expected(0.1, 0.1), before = Theta;
        Step(Around(one));
        Check.Close(Gradient(), (before - expected) / 0.1, 1e-8, "one rate for all needs no groups");
    }

    /// <summary>Groups that have rates and no parameters; it moves nothing.</summary>
    private sealed class SilentOptimizer(Parameter[] all, double[] rates) : OptimizerHelper
    {
        public override IEnumerable<optim.ILearningRateController> ParamGroups =>
            rates.Select(rate => new Rate { LearningRate = rate });

        public override IEnumerable<Parameter> parameters() => all;

        public override void zero_grad()
        {
            foreach (Parameter parameter in all)
                parameter.grad?.zero_();
        }

        public override Tensor step(Func<Tensor>? closure = null) => null!;

        private sealed class Rate : optim.ILearningRateController
        {
            public double LearningRate { get; set; }

            public double InitialLearningRate { get; set; }
        }
    }
}
