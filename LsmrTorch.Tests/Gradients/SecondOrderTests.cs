using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NUnit.Framework;
using TorchSharp;
using static LsmrTorch.Tests.Gradients.DifferentiableProblems;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>
/// Derivatives of a higher order, as products ∂/∂θ ⟨∂L/∂θ, v⟩ over all of θ, b, λ and x0 at once, so that every mixed derivative counts.
/// </summary>
public class SecondOrderTests
{
    /// <summary>
    /// Handles without a tensor that a first recorded pass makes: the first step gets no gradient, and TorchSharp counts the handle that
    /// says so as made but never as disposed.
    /// </summary>
    private const int Undefined = 1;

    private readonly List<string> warnings = [];

    [SetUp]
    public void Listen()
    {
        warnings.Clear();
        Diagnostics.Warning += warnings.Add;
    }

    [TearDown]
    public void StopListening() => Diagnostics.Warning -= warnings.Add;

    private static Tensor Loss(Tensor x) => x.mul(Problems.Random(14, x.shape[0])).sin().sum().add(x.square().square().sum().mul(0.1));

    /// <summary>⟨∂scalar/∂inputs, v⟩ for random v, recorded.</summary>
    private static Tensor Along(Tensor scalar, Tensor[] inputs, int seed) =>
        Gradient.Differentiable(scalar, inputs).Select((g, i) => g.mul(Problems.Random(seed + i, g.shape)).sum()).Aggregate((s, t) => s.add(t));

    private static void AreClose(Tensor[] found, Tensor[] truth, double tolerance)
    {
        for (int i = 0; i < found.Length; i++)
            Check.Close(found[i], truth[i], tolerance, Names[i], floor: 1);
    }

    [Test]
    public void Second_derivatives_are_those_of_the_dense_formula([Values] Holder holder, [Values] Shape shape, [Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, damp);
        Tensor[] Second(Tensor x) => Gradient.Of(Along(Loss(x), inputs, 20), inputs);
        Tensor[] truth = Second(DenseSolution(Matrix(holder, inputs[0]), inputs[1], inputs[2], inputs[3]));
        AreClose(Second(Solution(Operator(holder, inputs[0]), inputs, order: 2)), truth, 1e-9); // 1e-12 times cond^4
        AreClose(Second(Solution(Operator(holder, inputs[0]), inputs, order: 3)), truth, 1e-9);
    }

    [Test]
    public void Third_derivatives_are_those_of_the_dense_formula(
        [Values(Holder.Dense, Holder.MatVec, Holder.Jacobian)] Holder holder, [Values] Shape shape, [Values(0, 0.5)] double damp, [Values] bool atOptimum)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, damp);
        // At an optimum the first cotangent is zero, and its derivatives are not.
        Tensor target = DenseSolution(Matrix(holder, inputs[0]), inputs[1], inputs[2], inputs[3]).detach();
        Tensor[] Third(Tensor x) =>
            Gradient.Of(Along(Along(atOptimum ? x.sub(target).square().sum() : Loss(x), inputs, 20), inputs, 30), inputs);
        Tensor[] found = Third(Solution(Operator(holder, inputs[0]), inputs, order: 3));
        AreClose(found, Third(DenseSolution(Matrix(holder, inputs[0]), inputs[1], inputs[2], inputs[3])), 1e-8);
    }

    [Test]
    public void Second_derivatives_agree_with_central_differences_of_first_gradients(
        [Values(Holder.Dense, Holder.MatVec)] Holder holder, [Values] Shape shape, [Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, damp);
        Tensor[] First(Tensor[] at) => Gradient.Of(Loss(Solution(Operator(holder, at[0]), at)), at);
        Tensor[] found = Gradient.Of(Along(Loss(Solution(Operator(holder, inputs[0]), inputs, order: 2)), inputs, 20), inputs);
        const double Step = 1e-5;
        // A negative damping is refused, so at zero it stays, and so does its share of the product.
        Tensor[] Moved(double t) => [.. inputs.Select((x, i) => (i == 2 && damp == 0 ? x.detach() : x.detach().add(Problems.Random(20 + i, x.shape).mul(t))).requires_grad_())];
        Tensor[] differences = [.. First(Moved(Step)).Zip(First(Moved(-Step)), (right, left) => right.sub(left).div(2 * Step))];
        foreach (int i in damp == 0 ? [0, 1, 3] : new[] { 0, 1, 2, 3 })
            Check.Close(found[i], differences[i], 1e-6, Names[i], floor: 1);       // step^2 cond^4, and 1e-12 / step
    }

    [Test]
    public void Values_and_first_gradients_do_not_depend_on_the_order([Values] Shape shape, [Values(0, 0.5)] double damp, [Values(2, 3)] int order)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, damp);
        LinearOperator A = Operator(Holder.MatVec, inputs[0]);
        Tensor plain = Solution(A, inputs), high = Solution(A, inputs, order);
        Assert.That(Problems.Values(high), Is.EqualTo(Problems.Values(plain)));
        Tensor[] expected = Gradient.Of(Loss(plain), inputs);
        AreClose(Gradient.Of(Loss(high), inputs), expected, 1e-11);
        AreClose(Gradient.Differentiable(Loss(high), inputs), expected, 1e-11);
    }

    [Test]
    public void Second_derivatives_of_images_in_float32_are_right()
    {
        using var scope = NewDisposeScope();
        Tensor kernel = tensor([0.2f, 0.9f, 0.1f]).requires_grad_(), image = Problems.Random(3, 4, 5).to(float32);
        Tensor Blurred(Tensor z, Tensor k) => z.mul(k[1]).add(z.roll(1, 1).mul(k[0])).add(z.roll(1, 0).mul(k[2]));
        LinearOperator A = LinearOperator.FromMatVec(z => Blurred(z, kernel), [4, 5]);
        Tensor Second(Tensor x, Tensor at) => Gradient.Of(Gradient.Differentiable(x.square().sum(), at)[0].mul(tensor([1.0, 2.0, -1.0], at.dtype)).sum(), at)[0];
        Tensor found = Second(Lsmr.Solve(A, image, new LsmrOptions { Damp = 0.1, Gradient = new() { Order = 2 } }).Solution, kernel);

        Tensor taps = kernel.detach().to(float64).requires_grad_(), basis = eye(20, dtype: float64).view(20, 4, 5);
        Tensor M = stack(Enumerable.Range(0, 20).Select(i => Blurred(basis[i], taps).reshape(-1)), 1);
        Tensor truth = Second(DenseSolution(M, image.to(float64).reshape(-1), tensor(0.1, float64), zeros(20, float64)), taps);
        Check.Close(found, truth, 1e-3, "second derivative");                       // 1e-6 times cond^2 of the blur, about 100
    }

    [Test]
    public void A_second_derivative_costs_two_runs_beside_the_first()
    {
        using var scope = NewDisposeScope();
        int products = 0;
        Tensor[] inputs = Inputs(Shape.Tall, 0.5);
        Tensor theta = inputs[0];
        Tensor Counted(Tensor x)
        {
            if (!x.requires_grad)
                products++;                                                         // those of a solve; the recorded ones are few
            return x;
        }
        LinearOperator A = LinearOperator.FromMatVec(v => Counted(theta.mv(v)), u => Counted(theta.t().mv(u)), [6], float64);
        int Count(Action action)
        {
            products = 0;
            action();
            return products;
        }
        Tensor Solved(int order) => Lsmr.Solve(A, inputs[1], Options(inputs, order) with { Audit = false }).Solution;
        Tensor first = Loss(Solved(1)), second = Loss(Solved(2));
        Tensor? along = null;
        int run = Count(() => Gradient.Of(first, inputs));
        Assert.That(Count(() => Gradient.Of(second, inputs)), Is.EqualTo(run), "a pass that records nothing");
        Assert.That(Count(() => along = Along(second, inputs, 20)), Is.EqualTo(run), "the first, recorded");
        Assert.That(Count(() => Gradient.Of(along!, inputs)), Is.EqualTo(2 * run).Within(2), "the second");
    }

    [Test]
    public void Second_derivatives_take_the_preconditioner_too([Values(0, 1e-3)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(Shape.Tall, damp);
        LinearOperator A = LinearOperator.FromMatrix(inputs[0]);
        Tensor Hessian(LinearOperator? P)
        {
            LsmrOptions options = Options(inputs, 2) with { Preconditioner = P };
            return Gradient.Of(Along(Loss(Lsmr.Solve(A, inputs[1], options).Solution), inputs, 20), inputs[0])[0];
        }
        Tensor plain = Hessian(null);
        Check.Close(Hessian(Preconditioner.ColumnScaling(A, damp)), plain, 1e-9, "d/dA of a derivative");     // 1e-12 times cond^4, as above
    }

    [Test]
    public void Without_an_order_above_one_a_second_derivative_is_refused_by_a_sentence_that_names_it()
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(Shape.Tall, 0);
        Tensor loss = Loss(Solution(Operator(Holder.Dense, inputs[0]), inputs));
        Assert.That(() => loss.backward(create_graph: true), Throws.InstanceOf<ExternalException>());
        Assert.That(warnings, Has.Some.Contains("GradientOptions.Order = 2"));
    }

    [Test]
    public void A_derivative_of_an_order_above_the_one_allowed_is_refused([Values] Shape shape, [Values(2, 3)] int order)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, 0);
        Tensor derivative = Loss(Solution(Operator(Holder.MatVec, inputs[0]), inputs, order));
        for (int i = 1; i < order; i++)
            derivative = Along(derivative, inputs, 20 + 10 * i);
        Assert.That(() => Along(derivative, inputs, 60), Throws.InstanceOf<LsmrException>());
        Assert.That(warnings, Has.Some.Contains($"GradientOptions.Order = {order}").And.Some.Contains("higher Order"));
    }

    [Test]
    public void An_order_below_one_is_refused() =>
        Assert.That(() => Lsmr.Solve(LinearOperator.Identity([2]), ones(2), new LsmrOptions { Gradient = new() { Order = 0 } }),
            Throws.ArgumentException.With.Message.Contains("Order must be at least 1, but is 0."));

    [Test]
    public void An_undamped_operator_of_deficient_rank_is_refused([Values] Shape shape)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        Tensor theta = Problems.Matrix(m, n, 5, 2, deficient: true).requires_grad_(), b = Problems.Random(3, m);
        Tensor Solved(double damp) => Lsmr.Solve(LinearOperator.FromMatrix(theta), b, new LsmrOptions { Damp = damp, Gradient = new() { Order = 2 } }).Solution;
        Assert.That(() => Along(Loss(Solved(0)), [theta], 20),
            Throws.InstanceOf<LsmrException>().With.Message.Contains("must have full rank"));
        if (shape != Shape.Wide)
            Assert.That(warnings, Has.Some.Contains("must have full rank"));
        Assert.That(Problems.Values(Gradient.Of(Along(Loss(Solved(0.5)), [theta], 20), theta)[0]), Has.None.NaN);
    }

    [Test]
    public void Unconverged_solves_throw_or_give_NaN_or_are_answersat_every_order()
    {
        using var scope = NewDisposeScope();
        Tensor theta = Problems.Matrix(12, 8, 1e3, 1).requires_grad_(), b = Problems.Random(2, 12);
        Tensor Solved(Unconverged answer, int? forward = null, int? backward = 2) => Lsmr.Solve(LinearOperator.FromMatrix(theta), b,
            new LsmrOptions { MaxIterations = forward, Gradient = new() { Order = 2, MaxIterations = backward, WhenUnconverged = answer } }).Solution;
        Tensor Second(Tensor x) => Gradient.Of(Along(x.square().sum(), [theta], 20), theta)[0];
        Assert.That(() => Second(Solved(Unconverged.Throw)), Throws.InstanceOf<LsmrException>());
        Assert.That(warnings, Has.Some.Contains("did not converge: CRAIGMR stopped on IterationLimit after 2 iterations"));
        Assert.That(() => Solved(Unconverged.Throw, forward: 2), Throws.InstanceOf<LsmrException>());
        Assert.That(Problems.Values(Second(Solved(Unconverged.NaN))), Is.All.NaN);
        Assert.That(Problems.Values(Second(Solved(Unconverged.NaN, forward: 2, backward: null))), Is.All.NaN);
        Assert.That(Problems.Values(Second(Solved(Unconverged.Accept))), Has.None.NaN);
    }

    [Test]
    public void Of_a_wide_undamped_solve_gone_wrong_the_derivatives_are_NaN_and_the_value_is_not([Values] bool deficient)
    {
        using var scope = NewDisposeScope();
        Tensor theta = Problems.Matrix(8, 12, 10, 1, deficient: deficient).requires_grad_(), b = Problems.Random(2, 8);
        Tensor Solved(int order) => Lsmr.Solve(LinearOperator.FromMatrix(theta), b,
            new LsmrOptions { Gradient = new() { Order = order, MaxIterations = deficient ? null : 1, WhenUnconverged = Unconverged.NaN } }).Solution;
        Tensor x = Solved(2);
        Assert.That(Problems.Values(x), Is.EqualTo(Problems.Values(Solved(1))));
        Assert.That(Problems.Values(Gradient.Of(Loss(x), theta)[0]), Is.All.NaN);
        Assert.That(Problems.Values(Gradient.Of(Along(Loss(x), [theta], 20), theta)[0]), Is.All.NaN);
    }

    [Test]
    public void A_backward_pass_that_records_fills_the_leaves_as_any_other([Values] Holder holder, [Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(Shape.Wide, damp);
        Tensor theta = inputs[0];
        Tensor loss = Loss(Solution(Operator(holder, theta), inputs, order: 2));
        Tensor expected = Gradient.Of(Gradient.Differentiable(loss, theta)[0].square().sum(), theta)[0];
        loss.backward(retain_graph: true, create_graph: true);      // the second does not imply the first here
        Tensor penalty = theta.grad!.square().sum();
        foreach (Tensor input in inputs)
            input.grad = null;
        penalty.backward();
        Check.Close(theta.grad!, expected, 1e-12, "the gradient of a gradient penalty");
    }

    [Test]
    public void A_matrix_changed_in_place_before_the_second_pass_is_an_error()
    {
        using var scope = NewDisposeScope();
        Tensor theta = Problems.Matrix(12, 8, 5, 1), b = Problems.Random(2, 12).requires_grad_();
        Tensor along = Along(Loss(Lsmr.Solve(LinearOperator.FromMatrix(theta), b, new LsmrOptions { Gradient = new() { Order = 2 } }).Solution), [b], 20);
        using (no_grad())
            theta.mul_(2);
        Assert.That(() => Gradient.Of(along, b),
            Throws.InstanceOf<LsmrException>().With.Message.Contains("changed in place"));
    }

    [Test]
    public void Two_hundred_second_derivatives_leave_nothing_behind([Values(Holder.Dense, Holder.MatVec, Holder.Jacobian)] Holder holder, [Values(Shape.Tall, Shape.Wide)] Shape shape)
    {
        using var outer = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, 0);
        [MethodImpl(MethodImplOptions.NoInlining)]
        void Step()
        {
            using var scope = NewDisposeScope();
            Gradient.Of(Along(Loss(Solution(Operator(holder, inputs[0]), inputs, order: 2)), inputs, 20), inputs);
        }
        for (int i = 0; i < 5; i++)
            Step();
        int nodes = AliveNodes();
        long tensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 200; i++)
            Step();
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(tensors + 200 * Undefined), "live tensors");
        Assert.That(AliveNodes(), Is.EqualTo(nodes), "autograd nodes");
    }

    [Test]
    public void A_jacobian_at_a_fixed_point_leaves_no_nodes_behind()
    {
        using var outer = NewDisposeScope();
        Tensor[] inputs = Inputs(Shape.Tall, 0);
        Tensor theta = inputs[0], at = ones(6, float64);
        [MethodImpl(MethodImplOptions.NoInlining)]
        void Step()
        {
            using var scope = NewDisposeScope();
            LinearOperator A = LinearOperator.Jacobian(z => theta.mv(z.sin()), at);
            Gradient.Of(Along(Loss(Solution(A, inputs, order: 2)), inputs, 20), inputs);
        }
        Step();
        int nodes = AliveNodes();
        for (int i = 0; i < 20; i++)
            Step();
        Assert.That(AliveNodes(), Is.EqualTo(nodes), "autograd nodes");
    }

    [Test]
    public void Solving_and_differentiating_twice_leave_only_what_they_return([Values(Shape.Tall, Shape.Wide)] Shape shape)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, 0);
        LinearOperator A = Operator(Holder.MatVec, inputs[0]);
        Tensor? x = null;
        Tensor[] gradients = [];
        Check.LeavesNoTensors(() => x = Lsmr.Solve(A, inputs[1], new LsmrOptions { Start = inputs[3], Gradient = new() { Order = 2 } }).Solution, 1);
        Tensor loss = x!.square().sum();
        Check.LeavesNoTensors(() => gradients = Gradient.Differentiable(loss, inputs), 4 + Undefined);
        Tensor second = gradients[0].square().sum();
        Check.LeavesNoTensors(() => gradients = Gradient.Of(second, inputs), 4);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int AliveNodes()
    {
        Type node = typeof(autograd).GetNestedType("Node", BindingFlags.NonPublic)!;
        return ((System.Collections.ICollection)node.GetField("AliveNodes", BindingFlags.NonPublic | BindingFlags.Static)!.GetValue(null)!).Count;
    }
}
