using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>What a residual in tensor code may return and do, and what is said of the rest.</summary>
public class ResidualTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static NullSpaceOptimizer Around(Parameter theta, Func<Tensor> residual,
        JacobianProducts products = JacobianProducts.Derivatives) =>
        new(optim.SGD([theta], 0.1), [theta], Constraint.FromResidual(residual, products), 0.5);

    [TestCase(ScalarType.Float64, ScalarType.Float32, 1e-6)]
    [TestCase(ScalarType.Float32, ScalarType.Float64, 1e-6)]
    [TestCase(ScalarType.Float32, ScalarType.Float16, 3e-3)]
    [TestCase(ScalarType.Float64, ScalarType.BFloat16, 3e-2)]
    public void A_residual_of_another_dtype_is_differentiated_through_the_conversion(ScalarType dtype, ScalarType of,
        double tolerance)
    {
        Parameter theta = new(Problems.Random(1, 6).to(dtype));
        Tensor M = Problems.Random(2, 2, 6), before = theta.detach().to(float64).clone();
        Around(theta, () => M.to(dtype).mv(theta).to(of)).step();
        Check.Close(theta.detach().to(float64), before - 0.5 * linalg.pinv(M).mv(M.mv(before)), tolerance, "theta");
        Assert.That(theta.dtype, Is.EqualTo(dtype));
    }

    [Test]
    public void What_is_no_residual_is_refused([Values] JacobianProducts products)
    {
        Parameter theta = new(ones(3, float64)), stranger = new(ones(3, float64));
        void Refused(Func<Tensor> residual, string message) =>
            Assert.That(() => Around(theta, residual, products).step(), Throws.ArgumentException
                .With.Message.Contains(message));
        Refused(() => null!, "must be a tensor, but is null");
        Refused(() => complex(theta, theta), "must be real, but is ComplexFloat64");
        Refused(() => theta.to(int64), "does not depend on the parameters");
        Refused(() => theta.gt(0), "does not depend on the parameters");
        Refused(() => theta.detach(), "does not depend on the parameters");
        Assert.That(() => Constraint.FromResidual(null!), Throws.ArgumentNullException);
        Assert.That(() => Constraint.FromResidual(() => theta, (JacobianProducts)7), Throws.ArgumentException
            .With.Message.Contains("no way 7"));
        Assert.That(Problems.Values(theta), Is.All.EqualTo(1));
    }

    [Test]
    public void One_that_changes_a_parameter_is_refused([Values] JacobianProducts products,
        [Values("halve", "step", "set one")] string how)
    {
        Parameter theta = new(Problems.Random(1, 6));
        Tensor Residual()
        {
            using (no_grad()) {
                if (how == "halve")
                    theta.mul_(0.5);
                else if (how == "step")
                    theta.add_(1e-9);
                else
                    theta[2] = (Tensor)0.0;
            }
            return theta.sum().reshape(1);
        }
        Assert.That(() => Around(theta, Residual, products).step(), Throws.ArgumentException
            .With.Message.Contains("must only read the parameters"));
    }

    [Test]
    public void One_that_draws_numbers_from_the_default_generator_is_one_function_within_a_step()
    {
        Parameter theta = new(Problems.Random(1, 6)), twin = new(theta.detach().clone());
        Tensor Noisy(Parameter of) => rand(2, 6, float64).mv(of.tanh());
        random.manual_seed(5);
        Around(theta, () => Noisy(theta)).step();
        double next = rand(1, float64).item<double>();
        random.manual_seed(5);
        NullSpaceReport report = Around(twin, () => Noisy(twin), JacobianProducts.Differences).step();
        Assert.That(report.Iterations, Is.GreaterThan(0));
        Check.Close(twin.detach(), theta.detach(), 1e-6, "theta by differences and by derivatives");
        Assert.That(rand(1, float64).item<double>(), Is.EqualTo(next), "the generator goes on as after one evaluation");
    }

    [Test]
    public void A_constraint_on_nothing_that_moves_is_refused()
    {
        Parameter theta = new(ones(3, float64)), frozen = new(ones(3, float64), requires_grad: false);
        foreach (Constraint constraint in new[] { Constraint.Norm(frozen, 2),
            Constraint.RootMeanSquare(Constraint.Norm(frozen, 2)), Constraint.All(Constraint.Norm(frozen, 2)),
                Constraint.FromResidual(() => frozen.sum().reshape(1)) }) {
            var optimizer = new NullSpaceOptimizer(optim.SGD([theta], 0.1), [theta, frozen], constraint);
            Assert.That(() => optimizer.step(), Throws.ArgumentException.With.Message.Contains("depend"),
                constraint.GetType().Name);
        }
    }

    [Test]
    public void Parameters_that_cannot_be_moved_are_refused()
    {
        foreach (ScalarType dtype in new[] { ScalarType.Float16, ScalarType.BFloat16, ScalarType.ComplexFloat64 }) {
            Parameter theta = new(ones(3, dtype));
            Assert.That(() => Around(theta, () => theta), Throws.ArgumentException
                .With.Message.Contains($"must be float32 or float64, but is {dtype}"));
        }
        Parameter single = new(ones(3, float32)), twice = new(ones(3, float64)),
            counts = new(ones(3, int64), requires_grad: false);
        Assert.That(() => new NullSpaceOptimizer(optim.SGD([single, twice], 0.1), [single, twice],
            () => twice.sum().reshape(1)), Throws.ArgumentException.With.Message.Contains("of one dtype"));
        var optimizer = new NullSpaceOptimizer(optim.SGD([twice], 0.1), [twice, counts], () => twice.sum().reshape(1),
            1);
        Assert.That(optimizer.step().Applied, "a frozen parameter may be of any dtype");
        Assert.That(twice.sum().item<double>(), Is.Zero.Within(1e-12));
        twice.Dispose();
        Assert.That(() => optimizer.step(), Throws.ArgumentException.With.Message.Contains("A parameter was disposed"));
        Assert.That(() => new NullSpaceOptimizer(optim.SGD([single], 0.1), [single, null!], () => single),
            Throws.ArgumentNullException);
    }

    [Test]
    public void Parameters_without_entries_are_left_as_they_are([Values] ProjectionOrder order)
    {
        Parameter theta = new(ones(3, float64)), none = new(zeros(new long[] { 0, 2 }, float64));
        Parameter[] both = [none, theta];
        var optimizer = new NullSpaceOptimizer(optim.Adam(both, 0.1), both, () =>
            theta.sum().add(none.sum()).reshape(1), 1) { Order = order };
        theta.square().sum().add(none.sum()).backward();
        Assert.That(optimizer.step().Applied);
        if (order != ProjectionOrder.Gradient)
            Assert.That(theta.sum().item<double>(), Is.Zero.Within(1e-12));
        Assert.That(() => Constraint.SmoothSparsity([theta, none], 0.5, [1, 1]), Throws.ArgumentException
            .With.Message.Contains("(0, 2)"));
        Assert.That(SparsityMask.Smallest(both, 0.34).Sum(pair => pair.Mask.count_nonzero().item<long>()),
            Is.EqualTo(2));
    }

    [Test]
    public void A_user_s_constraint_must_fit_the_parameters()
    {
        Parameter theta = new(ones(3, float64));
        void Refused(Tensor c, LinearOperator J, string message)
        {
            var optimizer = new NullSpaceOptimizer(optim.SGD([theta], 0.1), [theta], new Own(c, J));
            Assert.That(() => optimizer.step(), Throws.ArgumentException.With.Message.Contains(message));
        }
        Refused(ones(2, float64), LinearOperator.FromMatrix(ones(2, 4, float64)),
            "must map (3) to the residual's shape (2), but maps (4) to (2)");
        Refused(ones(1, float64), LinearOperator.FromMatrix(ones(2, 3, float64)), "shape (1), but maps (3) to (2)");
        Refused(ones(2, 1, float64), LinearOperator.FromMatrix(ones(2, 3, float64)),
            "shape (2, 1), but maps (3) to (2)");
        Refused(ones(2, float32), LinearOperator.FromMatrix(ones(2, 3, float32)),
            "must be Float64 as the parameters, but are Float32 and Float32");
        Refused(ones(2, float64), LinearOperator.FromMatrix(ones(2, 3, float32)), "must be Float64");
    }

    private sealed class Own(Tensor c, LinearOperator J) : Constraint
    {
        public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters) => (c.alias(), J);
    }

    [Test]
    public void Options_that_have_no_meaning_are_refused()
    {
        Parameter theta = new(ones(3, float64));
        NullSpaceOptimizer optimizer = Around(theta, () => theta);
        Assert.That(() => optimizer.Tolerance = -1, Throws.ArgumentException.With.Message.Contains("Tolerance"));
        Assert.That(() => optimizer.Tolerance = double.NaN, Throws.ArgumentException);
        Assert.That(() => optimizer.MaxIterations = -1, Throws.ArgumentException.With.Message.Contains("but is -1"));
        Assert.That(() => optimizer.Order = (ProjectionOrder)5, Throws.ArgumentException
            .With.Message.Contains("no order 5"));
        Assert.That(() => optimizer.Rate = double.NaN, Throws.ArgumentException);
        Assert.That(() => Around(theta, () => theta).Damp = double.PositiveInfinity, Throws.ArgumentException);
        optimizer.RateSchedule = _ => double.NaN;
        Assert.That(() => optimizer.step(), Throws.ArgumentException.With.Message.Contains("but is NaN at step 0"));
        Parameter weights = new(tensor(new[] { 1, double.NaN, 2, 3 }));
        Assert.That(() => SparsityMask.Smallest([weights], 0.5), Throws.ArgumentException
            .With.Message.Contains("some are NaN"));
        Assert.That(() => SparsityMask.SmallestPerLayer([weights], 0.5), Throws.ArgumentException
            .With.Message.Contains("some are NaN"));
        Assert.That(() => Constraint.Linear([(theta, LinearOperator.Diagonal(ones(3, float32)))]),
            Throws.ArgumentException.With.Message.Contains("must be of its dtype, but is Float32"));
        var lbfgs = new NullSpaceOptimizer(optim.LBFGS([theta], 0.1), [theta], () => theta);
        Assert.That(() => lbfgs.step(), Throws.ArgumentException.With.Message.Contains("give it a closure"));
        lbfgs.Order = ProjectionOrder.Metric;
        Assert.That(() => lbfgs.step(() => theta.sum()), Throws.ArgumentException
            .With.Message.Contains("LBFGS computes them anew"));
    }
}
