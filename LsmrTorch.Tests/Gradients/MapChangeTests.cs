using System.Runtime.InteropServices;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>
/// A backward pass that finds another map than the solve had says so; one that finds the same map is right.
/// </summary>
public class MapChangeTests
{
    private const string Changed = "The operator of the backward pass is not the one that was solved with: ";

    private readonly List<string> warnings = [];

    [SetUp]
    public void Listen()
    {
        warnings.Clear();
        Diagnostics.Warning += warnings.Add;
    }

    [TearDown]
    public void StopListening() => Diagnostics.Warning -= warnings.Add;

    private static LsmrOptions Options(double damp, int order = 1) =>
        new() { Damp = damp, Gradient = new() { Order = order } };

    private static (CapturedMap Map, Tensor b) Problem(Shape shape, bool mapNeedsGrad,
        ScalarType dtype = ScalarType.Float64)
    {
        (long m, long n) = Problems.Size(shape);
        Tensor M = Problems.Matrix(m, n, 3, 1).to(dtype);
        return (new CapturedMap(M.detach().clone().requires_grad_(mapNeedsGrad)),
            Problems.Random(2, m).to(dtype).requires_grad_());
    }

    /// <summary>dL/db = A (AᵀA + λ²I)⁺ g for L = ⟨g, x⟩, dense.</summary>
    private static Tensor Truth(Tensor A, double damp, Tensor g)
    {
        Tensor M = A.detach().to(float64);
        return damp == 0 ? linalg.pinv(M).t().mv(g)
            : M.mv(linalg.solve(M.t().mm(M) + damp * damp * eye(M.shape[1], dtype: float64), g));
    }

    [Test]
    public void A_variable_or_a_tensor_of_a_closure_that_changes_before_backward_is_refused(
        [Values] Capture capture, [Values(0, 0.5)] double damp, [Values(1, 2)] int order, [Values] bool inPlace,
        [Values] bool mapNeedsGrad)
    {
        if (capture == Capture.RowBlocks && mapNeedsGrad)
            mapNeedsGrad = false;       // is refused at once: the parameters are to be named
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad);
        LinearOperator A = map.Operator(capture);
        Tensor loss = Lsmr.Solve(A, b, Options(damp, order)).Solution.sum();
        using (no_grad()) {
            if (inPlace)
                map.Matrix.mul_(1.5);
            else
                map.Matrix = map.Matrix.detach() * 1.5;
        }
        Assert.That(() => Gradient.Of(loss, b),
            Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed + "A v has changed by a relative"));
        Assert.That(() => loss.backward(), Throws.InstanceOf<ExternalException>());
        Assert.That(b.grad, Is.Null);
        Assert.That(warnings, Has.Count.EqualTo(2).And.All.Contains(Changed));
    }

    [Test]
    public void A_map_that_stays_gives_the_right_gradient_as_often_as_asked_and_after_a_change_a_new_solve_does(
        [Values] Capture capture, [Values(0, 0.5)] double damp, [Values(1, 2)] int order, [Values] Shape shape)
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(shape, mapNeedsGrad: false);
        LinearOperator A = map.Operator(capture == Capture.Stack ? Capture.Sum : capture);
        map.Matrix = map.Matrix * 1.5;                          // between construction and solve
        Tensor g = Problems.Random(3, A.Columns);
        Tensor M = capture is Capture.Sum or Capture.Stack ? map.Matrix.clone() : map.Matrix;
        Tensor loss = Lsmr.Solve(A, b, Options(damp, order)).Solution.mul(g).sum();
        loss.backward(retain_graph: true);
        Check.Close(b.grad!, Truth(M, damp, g), 1e-8, "dL/db");
        Gradient.Backward(loss);
        Check.Close(b.grad!, Truth(M, damp, g) * 2, 1e-8, "dL/db, twice");
        map.Matrix = map.Matrix.neg().add(0.1);
        b.grad = null;
        Gradient.Backward(Lsmr.Solve(A, b, Options(damp, order)).Solution.mul(g).sum());
        Check.Close(b.grad!, Truth(map.Matrix, damp, g), 1e-7, "dL/db of the new map");
    }

    [Test]
    public void The_gradient_of_a_scalar_closure_is_that_of_the_map_that_was_solved_with_or_none()
    {
        using var scope = NewDisposeScope();
        Tensor w = tensor(2.0, float64), b = tensor(new double[] { 4 }).requires_grad_();
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatVec(v => w * v, [1], float64), b,
            new LsmrOptions { Damp = 1 });
        Assert.That(Gradient.Of(result.Solution.sum(), b)[0].item<double>(), Is.EqualTo(0.4).Within(1e-14));
        w = tensor(5.0, float64);
        Assert.That(() => Gradient.Of(result.Solution.sum(), b),
            Throws.InstanceOf<LsmrException>().With.Message.Contains("A v has changed by a relative 1.5e+00"));
        Assert.That(result.GradientReport, Is.Null, "nothing is claimed of a pass that failed");
    }

    [Test]
    public void An_optimizer_that_steps_between_forward_and_backward_is_refused([Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        var p = new TorchSharp.Modules.Parameter(tensor(new double[] { 1, 2, 3 }));
        Tensor b = Problems.Random(1, 3).requires_grad_();
        var optimizer = optim.SGD([p], 0.1);
        Tensor loss = Lsmr.Solve(LinearOperator.FromMatVec(v => p * v, [3], float64), b, Options(damp)).Solution.sum();
        p.sum().backward();
        optimizer.step();
        Assert.That(() => Gradient.Of(loss, b, p), Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed));
    }

    [Test]
    public void A_transpose_that_changes_alone_is_found([Values(0, 0.5)] double damp, [Values] Shape shape,
        [Values] bool audit)
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(shape, mapNeedsGrad: false);
        Tensor forward = map.Matrix;
        LinearOperator A = LinearOperator.FromMatVec(v => forward.mv(v),
            u => map.Matrix.t().mv(u), [forward.shape[1]], float64);
        Tensor loss = Lsmr.Solve(A, b, Options(damp) with { Audit = audit }).Solution.sum();
        map.Matrix = map.Matrix * (1 + 1e-9);
        Assert.That(() => Gradient.Of(loss, b),
            Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed + "Aᵀu"));
    }

    /// <summary>
    /// dA x = 0 and dAᵀr = 0, so that neither the solution nor its residual sees the change; and one of a single entry.
    /// </summary>
    [Test]
    public void A_change_that_solution_and_residual_do_not_see_is_found(
        [Values(0, 0.5)] double damp, [Values] Shape shape, [Values] bool audit, [Values(1e-3, 1e-10)] double size,
        [Values] bool single)
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(shape, mapNeedsGrad: false);
        LinearOperator A = map.Operator(Capture.MatVec);
        LsmrResult result = Lsmr.Solve(A, b, Options(damp) with { Audit = audit });
        Tensor x = result.Solution.detach(), r = b.detach() - map.Matrix.mv(x);
        Tensor right = Problems.Random(4, A.Columns), left = Problems.Random(5, A.Rows);
        right -= x * (right.dot(x) / x.dot(x));
        if (r.norm().item<double>() > 1e-8)
            left -= r * (left.dot(r) / r.dot(r));
        Tensor change = left.outer(right);
        if (single) {
            change = zeros_like(change);
            change[1, 2] = tensor(1, float64);
        }
        map.Matrix = map.Matrix + change * size;
        Assert.That(() => Gradient.Of(result.Solution.sum(), b),
            Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed));
    }

    [Test]
    public void A_change_of_a_small_column_that_the_solution_makes_large_is_found()
    {
        using var scope = NewDisposeScope();
        // In float32 the second column is below the round-off of A z, and makes half of A x.
        Tensor columns = tensor(new[] { 1f, 1e-12f }), b = tensor(new[] { 1f, 1f }).requires_grad_();
        LinearOperator A = LinearOperator.FromMatVec(v => columns.mul(v), u => columns.mul(u), [2]);
        LsmrResult result = Lsmr.Solve(A, b,
            new LsmrOptions { Preconditioner = LinearOperator.Diagonal(tensor(new[] { 1f, 1e12f })) });
        Check.Close(Gradient.Of(result.Solution.sum(), b)[0], tensor(new[] { 1f, 1e12f }), 1e-5, "dL/db");
        columns = tensor(new[] { 1f, 1.1e-12f });
        Assert.That(() => Gradient.Of(result.Solution.sum(), b),
            Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed + "A v"));
    }

    [Test]
    public void Of_several_right_hand_sides_the_map_is_checked_too([Values(0, 0.5)] double damp,
        [Values] bool mapNeedsGrad)
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad);
        Tensor block = stack([b.detach(), b.detach() * 2, zeros_like(b.detach())], -1).requires_grad_();
        LinearOperator A = map.Operator(Capture.MatVecVecMat);
        Tensor loss = Lsmr.Solve(A, block, Options(damp)).Solution.sum();
        Tensor truth = Truth(map.Matrix, damp, ones(A.Columns, float64));
        Check.Close(Gradient.Of(loss, block)[0], stack([truth, truth, truth], -1), 1e-8, "dL/db");
        map.Matrix = map.Matrix.detach() * 1.01;
        Assert.That(() => Gradient.Of(loss, block), Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed));
    }

    [Test]
    public void What_the_options_accept_or_turn_into_NaN_is_no_changed_map([Values] Unconverged answer,
        [Values(1, 2)] int order, [Values] bool audit)
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad: false);
        var gradient = new GradientOptions { WhenUnconverged = answer, Order = order };
        var options = new LsmrOptions { Damp = 0.5, Audit = audit, Gradient = gradient };
        Tensor loss = Lsmr.Solve(map.Operator(Capture.MatVec), b, options).Solution.sum();
        map.Matrix = map.Matrix * 2;
        Assert.That(() => Gradient.Of(loss, b), Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed));
    }

    [Test]
    public void A_closure_with_dropout_is_refused_as_not_deterministic()
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad: false);
        bool drops = false;
        random.manual_seed(1);
        LinearOperator A = LinearOperator.FromMatVec(
            v => nn.functional.dropout(map.Matrix.mv(v), 0.5, training: drops), [6], float64);
        Tensor loss = linalg.lsmr(A, b).Solution.sum();
        drops = true;
        Assert.That(() => Gradient.Of(loss, b),
            Throws.InstanceOf<LsmrException>()
                .With.Message.Contains("The operator is not deterministic: A v differs by a relative"));
    }

    [Test]
    public void Products_with_noise_are_refused_or_if_answerspromise_nothing()
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad: false);
        using var generator = new Generator(3, CPU);
        Tensor Noisy(Tensor y) => y + 1e-9 * randn(y.shape, float64, generator: generator);
        LinearOperator A = LinearOperator.FromMatVec(v => Noisy(map.Matrix.mv(v)),
            u => Noisy(map.Matrix.t().mv(u)), [6], float64);
        LsmrResult Solve(GradientOptions gradient) =>
            Lsmr.Solve(A, b, new LsmrOptions { Damp = 0.5, Atol = 1e-6, Btol = 1e-6, Gradient = gradient });
        LsmrResult refused = Solve(new());
        Assert.That(() => Gradient.Of(refused.Solution.sum(), b),
            Throws.InstanceOf<LsmrException>().With.Message.Contains("not deterministic"));
        GradientOptions[] answers = [new() { WhenUnconverged = Unconverged.Accept }, new() { Tolerance = 1e-6 }];
        foreach (GradientOptions accepting in answers) {
            LsmrResult accepted = Solve(accepting);
            Check.Close(Gradient.Of(accepted.Solution.sum(), b)[0], Truth(map.Matrix, 0.5, ones(6, float64)), 1e-5,
                "dL/db");
            Assert.That(accepted.GradientReport!.Kind, Is.EqualTo(GradientErrorKind.Unknown));
        }
    }

    [Test]
    public void A_map_that_repeats_to_round_off_is_the_same(
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype, [Values(7, 300)] long n)
    {
        using var scope = NewDisposeScope();
        // The same sums in another order each time, as of atomic additions on a device.
        Tensor M = Problems.Matrix(2 * n, n, 5, 1, dtype), b = Problems.Random(2, 2 * n).to(dtype).requires_grad_();
        using var generator = new Generator(3, CPU);
        LinearOperator A = LinearOperator.FromMatVec(v => {
            Tensor order = randn(n, generator: generator).argsort();
            return M.index_select(1, order).mv(v.index_select(0, order));
        }, u => M.t().mv(u), [n], dtype);
        Tensor loss = Lsmr.Solve(A, b, new LsmrOptions { Damp = 0.5 }).Solution.sum();
        Check.Close(Gradient.Of(loss, b)[0], Truth(M, 0.5, ones(n, float64)).to(dtype), dtype == float32 ? 1e-4 : 1e-10,
            "dL/db");
    }

    [Test]
    public void A_point_of_a_jacobian_and_a_matrix_that_change_in_place_are_named_in_a_sentence([Values] bool jacobian)
    {
        using var scope = NewDisposeScope();
        Tensor at = Problems.Random(1, 6), M = Problems.Matrix(14, 6, 3, 2),
            b = Problems.Random(3, 14).requires_grad_();
        LinearOperator A = jacobian ? LinearOperator.Jacobian(z => M.mv(z.sin()), at) : LinearOperator.FromMatrix(M);
        Tensor loss = Lsmr.Solve(A, b).Solution.sum();
        (jacobian ? at : M).mul_(2);
        Assert.That(() => Gradient.Of(loss, b),
            Throws.InstanceOf<LsmrException>().With.Message.Contains("was changed in place after the solve"));
    }

    [Test]
    public void A_preconditioner_that_changes_costs_iterations_and_no_digits([Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad: false);
        Tensor scales = ones(6, float64);
        LinearOperator P = LinearOperator.FromMatVec(v => scales * v, u => scales * u, [6], float64);
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(map.Matrix), b,
            new LsmrOptions { Damp = damp, Preconditioner = P });
        scales = linspace(0.5, 3, 6, float64);
        Check.Close(Gradient.Of(result.Solution.sum(), b)[0], Truth(map.Matrix, damp, ones(6, float64)), 1e-9, "dL/db");
    }

    [Test]
    public void A_second_derivative_finds_a_change_after_the_first()
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad: true);
        Tensor loss = Lsmr.Solve(map.Operator(Capture.MatVec), b, Options(0.5, 2)).Solution.square().sum();
        Tensor along = Gradient.Differentiable(loss, b)[0].square().sum();
        Assert.That(Problems.Values(Gradient.Of(along, b)[0]), Has.None.NaN.And.Some.Not.Zero);
        map.Matrix = map.Matrix.detach() * 1.5;
        Assert.That(() => Gradient.Of(along, b), Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed));
    }

    [Test]
    public void A_layer_and_a_warm_start_refuse_a_changed_map_and_are_right_in_the_next_step()
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad: false);
        using var cache = new WarmStart();
        using var layer = new LeastSquaresLayer([], (_, _) => map.Operator(Capture.MatVec),
            new LsmrOptions { Damp = 0.5, WarmStart = cache });
        Gradient.Backward(layer.forward(b).sum());
        Tensor loss = layer.forward(b).sum();
        map.Matrix = map.Matrix * 1.5;
        b.grad = null;
        Assert.That(() => Gradient.Backward(loss), Throws.InstanceOf<LsmrException>().With.Message.Contains(Changed));
        Gradient.Backward(layer.forward(b).sum());
        Check.Close(b.grad!, Truth(map.Matrix, 0.5, ones(6, float64)), 1e-9, "dL/db");
    }

    [Test]
    public void The_check_takes_three_products_in_the_solve_and_three_in_the_backward_pass()
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(Shape.Tall, mapNeedsGrad: false);
        int products = 0;
        LinearOperator closure = LinearOperator.FromMatVec(v => Counted(map.Matrix.mv(v)),
            u => Counted(map.Matrix.t().mv(u)), [6], float64);
        Tensor Counted(Tensor y)
        {
            products++;
            return y;
        }
        Tensor x = zeros(6, float64);
        MapWitness? witness = null;
        products = 0;
        witness = MapWitness.Of(closure, x, b.detach());
        Assert.That(products, Is.EqualTo(3));
        bool holds = witness!.Value.Holds(closure, new GradientOptions());
        Assert.That(holds, Is.True);
        Assert.That(products, Is.EqualTo(6));
        Assert.That(MapWitness.Of(LinearOperator.FromMatrix(map.Matrix), x, null), Is.Null,
            "what a matrix holds is saved and checked by its version");
    }

    /// <summary>
    /// What an operator of a user's own class uses is not known: the last term of an undamped derivative is there all
    /// the same.
    /// </summary>
    [Test]
    public void Gradients_reach_what_an_operator_of_a_users_own_uses(
        [Values(Capture.Derived, Capture.MatVec)] Capture capture, [Values] Shape shape, [Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        (CapturedMap map, Tensor b) = Problem(shape, mapNeedsGrad: true);
        Tensor M = map.Matrix, g = Problems.Random(3, M.shape[1]), zero = zeros(M.shape[1], float64);
        Tensor found = Gradient.Of(Lsmr.Solve(map.Operator(capture), b, Options(damp)).Solution.mul(g).sum(), M)[0];
        Tensor dense = DifferentiableProblems.DenseSolution(M, b, tensor(damp, float64), zero);
        Tensor expected = Gradient.Of(dense.mul(g).sum(), M)[0];
        Check.Close(found, expected, 1e-8, "dL/dA");
        Assert.That(M.grad, Is.Null);
    }
}
