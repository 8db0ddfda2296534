using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>The null-space step against dense algebra, around several optimizers and for every rank of J.</summary>
public class NullSpaceTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static readonly Dictionary<string, Func<IEnumerable<Parameter>, optim.Optimizer>> Optimizers = new() {
        ["SGD"] = p => optim.SGD(p, 0.05),
        ["momentum"] = p => optim.SGD(p, 0.05, momentum: 0.9, weight_decay: 1e-2),
        ["Adam"] = p => optim.Adam(p, 0.05),
        ["RMSProp"] = p => optim.RMSProp(p, 0.02),
    };

    public static IEnumerable<string> Names => Optimizers.Keys;

    /// <summary>Two parameters, 12 entries together, a quadratic loss pulling them somewhere.</summary>
    private static (Parameter[] Parameters, Func<Tensor> Loss) Task(long seed = 1)
    {
        Parameter[] parameters = [new(Problems.Random(seed, 3, 2)), new(Problems.Random(seed + 1, 6))];
        Tensor goal = Problems.Random(seed + 2, 12);
        return (parameters, () => Vectors.Flatten(parameters).sub(goal).square().sum());
    }

    private static Tensor Theta(Parameter[] parameters) => Vectors.Flatten(parameters).detach();

    private static NullSpaceReport Step(NullSpaceOptimizer optimizer, Func<Tensor> loss)
    {
        optimizer.zero_grad();
        loss().backward();
        return optimizer.step();
    }

    [Test]
    public void The_step_takes_a_linear_constraint_exactly_to_one_minus_the_rate(
        [ValueSource(nameof(Names))] string name, [Values(0.1, 1.0)] double rate)
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        Tensor M = Problems.Random(7, 4, 12), t = Problems.Random(8, 4);
        Tensor Residual() => M.mv(Vectors.Flatten(parameters)).sub(t);
        var optimizer = new NullSpaceOptimizer(Optimizers[name](parameters), parameters, Residual, rate);
        for (int i = 0; i < 5; i++) {
            Tensor c = Residual().detach();
            NullSpaceReport report = Step(optimizer, loss);
            Check.Close(Residual(), c.mul(1 - rate), 1e-8, "J Delta' = -kappa c", floor: 1);
            Assert.That(report.ConstraintNorm, Is.EqualTo(Vectors.Norm(c) / 2).Within(1e-12), "|c| / sqrt(4)");
            Assert.That(report.PredictedConstraintNorm, Is.EqualTo((1 - rate) * Vectors.Norm(c) / 2).Within(1e-8));
            Assert.That((report.Applied, report.FreeShare, report.NoFreedom), Is.EqualTo((true, (double?)null, false)));
        }
    }

    [Test]
    public void The_step_is_the_inner_one_less_what_the_constraint_forbids([ValueSource(nameof(Names))] string name)
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        (Parameter[] twins, Func<Tensor> twinLoss) = Task();
        Tensor M = Problems.Random(7, 4, 12);
        var optimizer = new NullSpaceOptimizer(Optimizers[name](parameters), parameters, () => M.mv(Vectors.Flatten(parameters)), 0.3);
        optim.Optimizer plain = Optimizers[name](twins);
        Tensor before = Theta(parameters), J = linalg.pinv(M);
        Step(optimizer, loss);
        twinLoss().backward();
        plain.step();
        Tensor delta = Theta(twins) - before;
        Tensor expected = delta - J.mv(M.mv(delta) + M.mv(before) * 0.3);
        Check.Close(Theta(parameters) - before, expected, 1e-8, "Delta'");
    }

    [Test]
    public void A_step_of_i_iterations_takes_i_plus_two_products_with_J_and_i_plus_one_with_its_transpose([Values] ProjectionOrder order)
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        Tensor M = Problems.Random(7, 4, 6);
        int forward = 0, transposed = 0;
        LinearOperator J = LinearOperator.FromMatVec(v => { forward++; return M.mv(v); }, u => { transposed++; return M.t().mv(u); }, [6], float64);
        var optimizer = new NullSpaceOptimizer(optim.Adam(parameters, 0.05), parameters, Constraint.Linear([(parameters[1], J)], Problems.Random(8, 4)), 0.5) { Order = order };
        (forward, transposed) = (0, 0);
        NullSpaceReport report = Step(optimizer, loss);
        Assert.That(report.Iterations, Is.InRange(2, 8));
        // One product more is c itself, which is linear here.
        Assert.That((forward, transposed), Is.EqualTo((report.Iterations + 3, report.Iterations + 1)));
    }

    [Test]
    public void Under_a_root_mean_square_the_step_is_the_row_s_and_costs_one_product_with_the_transpose()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        (Parameter[] twins, Func<Tensor> twinLoss) = Task();
        Tensor M = Problems.Random(7, 4, 6), target = Problems.Random(8, 4);
        int transposed = 0;
        LinearOperator J = LinearOperator.FromMatVec(M.mv, u => { transposed++; return M.t().mv(u); }, [6], float64);
        Constraint constraint = Constraint.RootMeanSquare(Constraint.Linear([(parameters[1], J)], target));
        var optimizer = new NullSpaceOptimizer(optim.SGD(parameters, 0.05), parameters, constraint, 0.3);
        Tensor before = parameters[1].detach().clone(), r = M.mv(before) - target, row = M.t().mv(r) / (2 * r.norm());
        transposed = 0;
        NullSpaceReport report = Step(optimizer, loss);
        twinLoss().backward();
        optim.SGD(twins, 0.05).step();
        Tensor delta = twins[1].detach() - before;
        Check.Close(parameters[1].detach() - before, delta - row * ((row.dot(delta) + r.norm() * (0.3 / 2)) / row.dot(row)), 1e-12, "Delta'");
        Check.Close(parameters[0].detach(), twins[0].detach(), 1e-15, "what the constraint does not read");
        Assert.That((report.Iterations, transposed), Is.EqualTo((1, 1)));
        Assert.That(report.PredictedConstraintNorm, Is.EqualTo(0.7 * report.ConstraintNorm).Within(1e-14));
    }

    [Test]
    public void Projecting_twice_changes_nothing()
    {
        // From a feasible point the projected step is in the null space; a constraint on it projects it onto itself.
        Tensor M = Problems.Random(7, 4, 12);
        Tensor feasible = Problems.Random(1, 12);
        feasible -= linalg.pinv(M).mv(M.mv(feasible));
        Tensor Projected(Tensor step)
        {
            var parameter = new Parameter(feasible.clone());
            var optimizer = new NullSpaceOptimizer(optim.SGD([parameter], 1), [parameter], () => M.mv(parameter), 1);
            parameter.mul(step).sum().backward();   // gradient = step, so that Delta = -step
            optimizer.step();
            return feasible - parameter.detach();
        }
        Tensor once = Projected(Problems.Random(2, 12));
        Check.Close(M.mv(once), zeros(4, float64), 1e-8, "J P g", floor: 1);
        Check.Close(Projected(once), once, 1e-8, "P P g");
    }

    [Test]
    public void A_curved_constraint_shrinks_as_predicted_to_first_order()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        Tensor M = Problems.Random(7, 3, 12);
        Tensor Residual() => M.mv(Vectors.Flatten(parameters).tanh());
        var optimizer = new NullSpaceOptimizer(optim.SGD(parameters, 1e-3), parameters, Residual, 0.01);
        for (int i = 0; i < 100; i++) {
            double before = Vectors.Norm(Residual());
            NullSpaceReport report = Step(optimizer, loss);
            double after = Vectors.Norm(Residual());
            Assert.That(report.PredictedConstraintNorm * Math.Sqrt(3), Is.EqualTo(0.99 * before).Within(1e-8 * before + 1e-12));
            // The step is about 1e-2 long, the curvature of order one: an error of its square.
            Assert.That(after, Is.EqualTo(0.99 * before).Within(5 * (report.StepNorm + report.CorrectionNorm) * (report.StepNorm + report.CorrectionNorm)));
        }
    }

    [Test]
    public void A_rank_deficient_jacobian_is_survived([Values(0, 0.1)] double damp)
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        Tensor M = Problems.Random(7, 3, 12), twice = cat([M, M]);      // six residuals of rank three, consistent
        var optimizer = new NullSpaceOptimizer(optim.SGD(parameters, 0.05, momentum: 0.9), parameters, () => twice.mv(Vectors.Flatten(parameters)), 0.5, damp);
        double first = 0, last = 0;
        for (int i = 0; i < 60; i++) {
            NullSpaceReport report = Step(optimizer, loss);
            first = i == 0 ? report.ConstraintNorm : first;
            last = report.ConstraintNorm;
            Assert.That(report.Applied, report.ToString());
        }
        Assert.That(last, Is.LessThan(damp == 0 ? 1e-8 * first : 0.1 * first));
    }

    [Test]
    public void It_says_when_no_freedom_is_left()
    {
        var warnings = new List<string>();
        Diagnostics.Warning += warnings.Add;
        try {
            (Parameter[] parameters, Func<Tensor> loss) = Task();
            Tensor full = Problems.Random(7, 15, 12), deficient = Problems.Random(7, 15, 5).mm(Problems.Random(8, 5, 12));
            var none = new NullSpaceOptimizer(optim.SGD(parameters, 0.05), parameters, () => full.mv(Vectors.Flatten(parameters)), 0.5);
            NullSpaceReport report = Step(none, loss);
            Assert.That(report.NoFreedom, report.ToString());
            Assert.That(warnings, Has.Some.Contains("15 constraints on 12 parameters leave the step no freedom"));
            warnings.Clear();
            var some = new NullSpaceOptimizer(optim.SGD(parameters, 0.05), parameters, () => deficient.mv(Vectors.Flatten(parameters)), 0.5);
            NullSpaceReport free = Step(some, loss);
            Assert.That(free.NoFreedom, Is.False, free.ToString());
            Assert.That(free.FreeShare, Is.InRange(0.05, 1.0));
            // A step that is orthogonal to what is free: nothing of it is left, but freedom is.
            Tensor goal = linalg.pinv(deficient).mv(deficient.mv(Problems.Random(4, 12)));
            var still = new Parameter(zeros(12, float64));
            var resting = new NullSpaceOptimizer(optim.SGD([still], 0.05), [still], () => deficient.mv(still), 0.5);
            NullSpaceReport rest = Step(resting, () => still.sub(goal).square().sum());
            Assert.That((rest.FreeShare < 1e-4, rest.NoFreedom), Is.EqualTo((true, false)));
            Assert.That(warnings, Is.Empty);
        } finally {
            Diagnostics.Warning -= warnings.Add;
        }
    }

    [Test]
    public void An_optimizer_that_asks_for_a_closure_is_wrapped_too()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        Tensor M = Problems.Random(7, 4, 12);
        Tensor Residual() => M.mv(Vectors.Flatten(parameters));
        var optimizer = new NullSpaceOptimizer(optim.LBFGS(parameters, lr: 0.5), parameters, Residual, 0.5);
        Tensor Closure()
        {
            optimizer.zero_grad();
            Tensor value = loss();
            value.backward();
            return value;
        }
        double first = Vectors.Read(loss());
        for (int i = 0; i < 40; i++) {
            Tensor c = Residual().detach();
            optimizer.step(Closure);
            Check.Close(Residual(), c.mul(0.5), 1e-8, "J Delta' = -kappa c", floor: 1);
        }
        Assert.That(Vectors.Read(loss()), Is.LessThan(first));
    }

    [Test]
    public void Frozen_parameters_stay_and_groups_keep_their_rates()
    {
        Parameter fast = new(Problems.Random(1, 4)), slow = new(Problems.Random(2, 4)), frozen = new(Problems.Random(3, 4), requires_grad: false);
        double[] still = Problems.Values(frozen);
        optim.Optimizer inner = optim.SGD([
            new SGD.ParamGroup([fast], lr: 0.1),
            new SGD.ParamGroup([slow], lr: 0.001),
        ], 0.01);
        Tensor oldFast = fast.detach().clone(), oldSlow = slow.detach().clone();
        var optimizer = new NullSpaceOptimizer(inner, [fast, slow, frozen], () => fast[0].add(slow[0]).add(frozen[0]).reshape(1), 1);
        fast.sum().add(slow.sum()).backward();
        optimizer.step();
        Assert.That(Problems.Values(frozen), Is.EqualTo(still));
        Assert.That((fast[0] + slow[0] + frozen[0]).item<double>(), Is.Zero.Within(1e-12));
        Assert.That(Problems.Values(oldFast - fast)[1..], Is.All.EqualTo(0.1).Within(1e-14));
        Assert.That(Problems.Values(oldSlow - slow)[1..], Is.All.EqualTo(0.001).Within(1e-14));
    }

    [Test]
    public void A_sparsity_constraint_is_known_in_closed_form_and_reaches_zero()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        Tensor mask = parameters[0].detach().abs().lt(parameters[0].detach().abs().median());
        Assert.That(mask.sum().item<long>(), Is.InRange(1, 5), "the problem masks some and not all");
        var optimizer = new NullSpaceOptimizer(optim.Adam(parameters, 0.01), parameters, Constraint.Sparsity([(parameters[0], mask)]), 1);
        NullSpaceReport report = Step(optimizer, loss);
        Assert.That((report.Iterations, report.ConditionEstimate, report.Applied), Is.EqualTo((0, 1.0, true)));
        Assert.That(Problems.Values(parameters[0].masked_select(mask)), Is.All.Zero);
        optimizer.Smoothing = 0.5;
        Assert.That(Step(optimizer, loss).Iterations, Is.EqualTo(1), "a mean of corrections is another step");
    }

    [Test]
    public void A_sparsity_constraint_in_closed_form_is_that_of_a_solve(
        [Values(0.3, 1)] double rate, [Values(0, 0.5)] double damp, [Values(ProjectionOrder.Step, ProjectionOrder.Metric)] ProjectionOrder order, [Values] bool isTensorCode)
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        (Parameter[] twins, Func<Tensor> twinLoss) = Task();
        Tensor mask = parameters[0].detach().abs().lt(0.7), second = parameters[1].detach().lt(0);
        Constraint Of(Parameter[] of) => Constraint.Sparsity([(of[0], mask), (of[1], second)]);
        var direct = new NullSpaceOptimizer(optim.Adam(parameters, 0.01), parameters, Of(parameters), rate, damp) { Order = order, Tolerance = 1e-15 };
        var solved = new NullSpaceOptimizer(optim.Adam(twins, 0.01), twins,
            isTensorCode ? Constraint.FromResidual(() => cat([twins[0].masked_select(mask), twins[1].masked_select(second)])) : Constraint.All(Of(twins)), rate, damp) { Order = order, Tolerance = 1e-15 };
        bool isDirect = order == ProjectionOrder.Step || damp == 0;
        for (int i = 0; i < 3; i++) {
            NullSpaceReport found = Step(direct, loss), expected = Step(solved, twinLoss);
            Assert.That(found.Iterations == 0, Is.EqualTo(isDirect), "in closed form");
            Assert.That(expected.Iterations, order == ProjectionOrder.Step ? Is.EqualTo(1) : Is.GreaterThan(1), "J J' = I, J D J' is not");
            Check.Close(Theta(parameters), Theta(twins), 1e-12, "theta");
            Assert.That(found.ConstraintNorm, Is.EqualTo(expected.ConstraintNorm).Within(1e-12));
            Assert.That(found.PredictedConstraintNorm, Is.EqualTo(expected.PredictedConstraintNorm).Within(1e-12));
            Assert.That(found.StepNorm, Is.EqualTo(expected.StepNorm).Within(1e-12));
            Assert.That(found.CorrectionNorm, Is.EqualTo(expected.CorrectionNorm).Within(1e-12));
            Assert.That(found.Damp, Is.EqualTo(expected.Damp).Within(1e-15));
        }
    }

    [Test]
    public void A_sparsity_constraint_on_NaN_leaves_the_parameters_and_says_so()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        using (no_grad())
            parameters[0][0, 0] = double.NaN;
        double[] before = Problems.Values(Theta(parameters));
        var optimizer = new NullSpaceOptimizer(optim.SGD(parameters, 0.01), parameters, Constraint.Sparsity([(parameters[0], ones(3, 2, ScalarType.Bool))]));
        NullSpaceReport report = Step(optimizer, loss);
        Assert.That((report.Applied, report.Stop), Is.EqualTo((false, LsmrStop.NonFinite)));
        Assert.That(Problems.Values(Theta(parameters)), Is.EqualTo(before));
    }

    [Test]
    public void An_empty_constraint_leaves_the_inner_step()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        (Parameter[] twins, Func<Tensor> twinLoss) = Task();
        Step(new NullSpaceOptimizer(optim.Adam(parameters, 0.01), parameters, Constraint.Sparsity([(parameters[0], zeros(3, 2, ScalarType.Bool))])), loss);
        twinLoss().backward();
        optim.Adam(twins, 0.01).step();
        Check.Close(Theta(parameters), Theta(twins), 1e-15, "theta");
    }

    [Test]
    public void A_constraint_of_NaN_leaves_the_parameters_and_says_so()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        double[] before = Problems.Values(Theta(parameters));
        Tensor nan = tensor(double.NaN, float64);
        var optimizer = new NullSpaceOptimizer(optim.SGD(parameters, 0.05), parameters, () => parameters[0].mul(nan).reshape(-1));
        NullSpaceReport report = Step(optimizer, loss);
        Assert.That((report.Applied, report.Stop), Is.EqualTo((false, LsmrStop.NonFinite)));
        Assert.That(Problems.Values(Theta(parameters)), Is.EqualTo(before));
    }

    [Test]
    public void A_constraint_that_throws_leaves_the_parameters()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        double[] before = Problems.Values(Theta(parameters));
        var optimizer = new NullSpaceOptimizer(optim.SGD(parameters, 0.05), parameters, () => throw new IOException("no batch"));
        Assert.That(() => Step(optimizer, loss), Throws.InstanceOf<IOException>());
        Assert.That(Problems.Values(Theta(parameters)), Is.EqualTo(before));
    }

    [Test]
    public void Misuse_is_refused()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        optim.Optimizer inner = optim.SGD(parameters, 0.1);
        Func<Tensor> residual = () => parameters[0].reshape(-1);
        Assert.That(() => new NullSpaceOptimizer(inner, parameters, residual, rate: 0), Throws.ArgumentException.With.Message.Contains("over 0 and at most 1, but is 0"));
        Assert.That(() => new NullSpaceOptimizer(inner, parameters, residual, rate: 1.5), Throws.ArgumentException);
        Assert.That(() => new NullSpaceOptimizer(inner, parameters, residual, damp: -1), Throws.ArgumentException);
        Assert.That(() => new NullSpaceOptimizer(inner, [], residual), Throws.ArgumentException);
        Assert.That(() => Step(new NullSpaceOptimizer(inner, parameters, () => ones(3, float64)), loss), Throws.ArgumentException.With.Message.Contains("does not depend on the parameters"));
        Assert.That(() => Constraint.Sparsity([(parameters[0], ones(3, 2))]), Throws.ArgumentException.With.Message.Contains("A mask must be bool"));
        Assert.That(() => Constraint.Sparsity([(parameters[0], ones(2, 3, ScalarType.Bool))]), Throws.ArgumentException.With.Message.Contains("shape (3, 2)"));
    }

    [Test]
    public void Steps_leave_no_tensors_and_the_gradients_as_they_were()
    {
        (Parameter[] parameters, Func<Tensor> loss) = Task();
        Tensor M = Problems.Random(7, 4, 12);
        var optimizer = new NullSpaceOptimizer(optim.Adam(parameters, 0.05), parameters, () => M.mv(Vectors.Flatten(parameters)));
        Step(optimizer, loss);
        optimizer.zero_grad();
        loss().backward();
        double[] gradient = Problems.Values(parameters[0].grad!);
        Check.LeavesNoTensors(() => optimizer.step());
        Assert.That(Problems.Values(parameters[0].grad!), Is.EqualTo(gradient));
    }
}
