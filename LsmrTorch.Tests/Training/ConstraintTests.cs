using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>Ready constraints: their residuals are the formulas, and their Jacobians those that autograd finds.</summary>
public class ConstraintTests
{
    private DisposeScope scope = null!;
    private Parameter W = null!, v = null!, kernel = null!;

    [SetUp]
    public void MakeParameters()
    {
        scope = NewDisposeScope();
        W = new Parameter(Problems.Random(1, 3, 4));
        v = new Parameter(Problems.Random(2, 5));
        kernel = new Parameter(Problems.Random(3, 2, 2, 3, 3));
    }

    [TearDown]
    public void CloseScope()
    {
        W.Dispose();
        v.Dispose();
        kernel.Dispose();
        scope.Dispose();
    }

    private Parameter[] All => [W, v, kernel];

    /// <summary>c and J are those of the same residual as tensor code, J by J v and Jᵀu on random vectors.</summary>
    private void IsThatOf(Constraint constraint, Func<Tensor> residual)
    {
        (Tensor c, LinearOperator J) = constraint.Linearize(All);
        (Tensor expected, LinearOperator autograd) = Constraint.FromResidual(residual).Linearize(All);
        Check.Close(c.reshape(-1), expected.reshape(-1), 1e-13, "c", floor: 1);
        Check.Close(constraint.Evaluate(All).reshape(-1), expected.reshape(-1), 1e-13, "c alone", floor: 1);
        Assert.That((J.Columns, J.Rows), Is.EqualTo((autograd.Columns, autograd.Rows)));
        Tensor direction = Problems.Random(11, J.Columns), cotangent = Problems.Random(12, J.Rows);
        Check.Close(J.MatVec(direction).reshape(-1), autograd.MatVec(direction).reshape(-1), 1e-12, "J v", floor: 1);
        Check.Close(J.VecMat(cotangent.reshape([.. J.OutputShape])), autograd.VecMat(cotangent.reshape([.. autograd.OutputShape])), 1e-12, "J'u", floor: 1);
        J.Verify();
        Check.LeavesNoTensors(() => {
            using var inner = NewDisposeScope();
            constraint.Linearize(All);
        });
    }

    [Test]
    public void Linear_constraints()
    {
        Tensor L = Problems.Random(5, 6, 12), M = Problems.Random(6, 6, 5), target = Problems.Random(7, 6);
        LinearOperator onW = LinearOperator.FromMatVec(x => L.mv(x.reshape(-1)), u => L.t().mv(u).reshape(3, 4), [3, 4], float64);
        IsThatOf(Constraint.Linear([(W, onW), (v, LinearOperator.FromMatrix(M))], target), () => L.mv(W.reshape(-1)).add(M.mv(v)).sub(target));
        IsThatOf(Constraint.Linear([(v, LinearOperator.FromMatrix(M))]), () => M.mv(v));
    }

    [Test]
    public void A_norm() => IsThatOf(Constraint.Norm(kernel, 2.5), () => kernel.norm().sub(2.5).reshape(1));

    [Test]
    public void A_smooth_sparsity_counts_weights_whose_squares_do_not_fit([Values(ScalarType.Float32,
        ScalarType.Float64)] ScalarType dtype)
    {
        double large = dtype == ScalarType.Float32 ? 3e38 : 1e300;
        Parameter layer = new(tensor(new[] { large, -large, 0, 1e-30, 0.5 }).to(dtype));
        (Tensor c, LinearOperator J) = Constraint.SmoothSparsity([layer], 0.25, [0.5]).Linearize([layer]);
        Assert.That(c.to(float64).item<double>(), Is.EqualTo((1 + 1 + 0 + 0 + 0.5) / 5 - 0.75).Within(1e-6));
        Tensor row = J.ApplyTranspose(ones(1, dtype));
        // t = 1 in the last
        Assert.That(Problems.Values(row), Is.EqualTo(new[] { 0, 0, 0, 0, 2 / (0.5 * 5 * 4) }).Within(1e-7));
        Parameter small = new(tensor(new[] { 0, 1e-25, -2e-25 }).to(dtype));
        Tensor count = Constraint.SmoothSparsity([small], 0, [1e-25]).Evaluate([small]);
        Assert.That(count.to(float64).item<double>(), Is.EqualTo((0 + 0.5 + 0.8) / 3 - 1).Within(1e-6));
    }

    [Test]
    public void A_root_mean_square_of_tensor_code_or_of_products_in_closed_form()
    {
        Tensor M = Problems.Random(6, 6, 5), target = Problems.Random(7, 6);
        IsThatOf(Constraint.RootMeanSquare(Constraint.FromResidual(() => W.tanh().mm(W.t()))), () => W.tanh().mm(W.t()).square().mean().sqrt().reshape(1));
        IsThatOf(Constraint.RootMeanSquare(Constraint.Linear([(v, LinearOperator.FromMatrix(M))], target)), () => M.mv(v).sub(target).square().mean().sqrt().reshape(1));
        IsThatOf(
            Constraint.All([(Constraint.RootMeanSquare(Constraint.FromResidual(() => v.sin())), 2.0), (Constraint.RootMeanSquare(Constraint.Norm(kernel, 2.5)), 1.0)]),
            () => cat([v.sin().square().mean().sqrt().reshape(1) * 2, (kernel.norm() - 2.5).abs().reshape(1)]));
    }

    [Test]
    public void A_root_mean_square_of_zeros_or_of_nothing_has_no_direction()
    {
        (Tensor c, LinearOperator J) = Constraint.RootMeanSquare(Constraint.FromResidual(() => v.sub(v.detach()))).Linearize(All);
        Assert.That(c.item<double>(), Is.Zero);
        Assert.That(Problems.Values(J.VecMat(ones(1, float64))), Is.All.Zero);
        Constraint nothing = Constraint.RootMeanSquare(Constraint.FromResidual(() => v.slice(0, 0, 0, 1)));
        Assert.That((nothing.Linearize(All).Residual.numel(), nothing.Evaluate(All).numel()), Is.EqualTo((0L, 0L)));
        Assert.That(() => Constraint.RootMeanSquare(Constraint.FromResidual(() => v.detach())).Linearize(All), Throws.ArgumentException.With.Message.Contains("does not depend"));
    }

    [Test]
    public void A_smooth_count_for_each_layer()
    {
        Tensor Count(Tensor theta, double scale) => theta.square().div(theta.square().add(scale * scale)).mean().sub(0.1).reshape(1);
        IsThatOf(Constraint.SmoothSparsity([W, kernel], 0.9, [0.2, 0.7]), () => cat([Count(W, 0.2), Count(kernel, 0.7)]));
        double[] byDefault = [.. new[] { W, kernel }.Select(p => 0.3 * Vectors.Norm(p.detach()) / Math.Sqrt(p.numel()))];
        IsThatOf(Constraint.SmoothSparsity([W, kernel], 0.9), () => cat([Count(W, byDefault[0]), Count(kernel, byDefault[1])]));
    }

    [Test]
    public void Several_with_weights()
    {
        Tensor M = Problems.Random(6, 6, 5), mask = Problems.Random(8, 3, 4).gt(0);
        IsThatOf(
            Constraint.All([(Constraint.Linear([(v, LinearOperator.FromMatrix(M))]), 2.0), (Constraint.FromResidual(() => W.tanh().mm(W.t())), 0.5), (Constraint.Sparsity([(W, mask)]), 1.0)]),
            () => cat([M.mv(v).mul(2), W.tanh().mm(W.t()).reshape(-1).mul(0.5), W.masked_select(mask)]));
        IsThatOf(Constraint.All(Constraint.Norm(v, 1), Constraint.Norm(W, 2)), () => stack([v.norm().sub(1), W.norm().sub(2)]));
    }

    [Test]
    public void Layers_that_commute_with_a_representation()
    {
        Tensor onOutput = linalg.qr(Problems.Random(5, 3, 3)).Q, onInput = linalg.qr(Problems.Random(6, 4, 4)).Q;
        IsThatOf(Constraint.EquivariantWeights(W, LinearOperator.FromMatrix(onOutput), LinearOperator.FromMatrix(onInput)), () => onOutput.mm(W).sub(W.mm(onInput)));
        // A convolution under quarter turns: two channels in and out change places, and the window turns.
        Tensor swapped = tensor([1L, 0]);
        LinearOperator swap = LinearOperator.FromMatVec(x => x.index_select(0, swapped), u => u.index_select(0, swapped), [2], float64);
        LinearOperator turn = LinearOperator.FromMatVec(x => x.index_select(0, swapped).rot90(1, (1, 2)), u => u.rot90(-1, (1, 2)).index_select(0, swapped), [2, 3, 3], float64);
        Constraint constraint = Constraint.EquivariantWeights(kernel, swap, turn);
        // (W rho) x = W (rho x): the window of W turns back.
        IsThatOf(constraint, () => kernel.index_select(0, swapped).sub(kernel.index_select(1, swapped).rot90(-1, (2, 3))));

        // One full step makes the convolution commute with the turn of its images.
        var optimizer = new NullSpaceOptimizer(optim.SGD([kernel], 0.1), [kernel], Constraint.All(constraint), rate: 1) { MeasuresAfter = true };
        kernel.sum().backward();
        NullSpaceReport report = optimizer.step();
        Assert.That(report.ConstraintNormAfter, Is.LessThan(1e-9));
        Tensor image = Problems.Random(9, 1, 2, 8, 8);
        Tensor Turned(Tensor x) => x.index_select(1, swapped).rot90(1, (2, 3));
        Tensor Convolved(Tensor x) => nn.functional.conv2d(x, kernel.detach());
        Check.Close(Convolved(Turned(image)), Turned(Convolved(image)), 1e-9, "convolution of the turned image");
    }

    [Test]
    public void Weights_that_permutations_leave_as_they_are()
    {
        Tensor turned = arange(36).reshape(2, 2, 3, 3).rot90(1, (2, 3)), swapped = arange(36).reshape(2, 2, 3, 3).flip(0, 1);
        IsThatOf(Constraint.Invariance([(kernel, turned), (kernel, swapped), (v, tensor([4L, 3, 2, 1, 0]))]), () => cat([kernel.rot90(1, (2, 3)).sub(kernel).reshape(-1), kernel.flip(0, 1).sub(kernel).reshape(-1), v.flip(0).sub(v)]));
        Assert.That(() => Constraint.Invariance([]), Throws.ArgumentException);
        Assert.That(() => Constraint.Invariance([(kernel, arange(35))]), Throws.ArgumentException.With.Message.Contains("36"));
        Assert.That(() => Constraint.Invariance([(kernel, zeros(36, int64))]), Throws.ArgumentException.With.Message.Contains("each place once"));
    }

    [Test]
    public void A_function_that_commutes_on_a_batch()
    {
        Tensor batch = Problems.Random(9, 7, 4);
        Tensor Function(Tensor x) => x.mm(W.t()).tanh();
        IsThatOf(Constraint.Equivariance(Function, () => batch, x => x.neg(), y => y.neg()), () => Function(batch.neg()).sub(Function(batch).neg()).reshape(-1));
        IsThatOf(Constraint.Equivariance(Function, () => batch, x => x.flip(1)), () => Function(batch.flip(1)).sub(Function(batch)).reshape(-1));
        (Tensor c, LinearOperator J) = Constraint.Equivariance(Function, () => batch, x => x.flip(1)).Linearize([W, v]);
        (_, LinearOperator quotient) = Constraint.Equivariance(Function, () => batch, x => x.flip(1), products: JacobianProducts.Differences).Linearize([W, v]);
        using IDisposable frozen = no_grad();
        Tensor direction = Problems.Random(13, J.Columns);
        Check.Close(quotient.Apply(direction), J.Apply(direction), 1e-6, "by differences");
    }

    [Test]
    public void A_score_whose_jacobian_is_symmetric()
    {
        var second = new Parameter(Problems.Random(4, 4, 3));
        Tensor points = Problems.Random(9, 6, 4), probes = Problems.Random(10, 6, 4);
        Tensor Score(Tensor x) => x.mm(W.t()).tanh().mm(second.t());            // 4 -> 3 -> 4
        Constraint constraint = Constraint.Conservativeness(Score, () => points, _ => probes);
        // S = second diag(1 - tanh²) W at each point.
        Tensor Expected()
        {
            Tensor slopes = ones(1, float64).sub(points.mm(W.t()).tanh().square());
            Tensor S = second.unsqueeze(0).mul(slopes.unsqueeze(1)).matmul(W);
            return S.sub(S.transpose(1, 2)).matmul(probes.unsqueeze(-1)).reshape(-1);
        }
        Parameter[] parameters = [W, second];
        (Tensor c, LinearOperator J) = constraint.Linearize(parameters);
        (Tensor expected, LinearOperator closed) = Constraint.FromResidual(Expected).Linearize(parameters);
        Check.Close(c, expected, 1e-12, "c");
        Tensor direction = Problems.Random(11, 24), cotangent = Problems.Random(12, 24);
        Check.Close(J.MatVec(direction), closed.MatVec(direction), 1e-11, "J v");
        Check.Close(J.VecMat(cotangent), closed.VecMat(cotangent), 1e-11, "J'u");
        (Tensor again, LinearOperator quotient) = Constraint.Conservativeness(Score, () => points, _ => probes, JacobianProducts.Differences).Linearize(parameters);
        Check.Close(again, expected, 1e-12, "c");
        using (no_grad())
            Check.Close(quotient.MatVec(direction), closed.MatVec(direction), 1e-6, "J v by differences: the root of eps times curvature");
        Check.Close(quotient.VecMat(cotangent), closed.VecMat(cotangent), 1e-11, "J'u after a product");
        Assert.That(Vectors.Norm(Constraint.Conservativeness(x => x.mm(W.t().mm(W)), () => points, _ => probes).Evaluate(parameters)), Is.LessThan(1e-12), "a gradient");
        Assert.That(() => Constraint.Conservativeness(x => x.mm(W.t()), () => points, _ => probes).Evaluate(parameters), Throws.ArgumentException.With.Message.Contains("(6, 4)"));
    }

    [Test]
    public void A_frozen_parameter_counts_and_does_not_move()
    {
        Tensor L = Problems.Random(5, 6, 5), K = Problems.Random(6, 6, 12);
        LinearOperator onW = LinearOperator.FromMatVec(x => K.mv(x.reshape(-1)), u => K.t().mv(u).reshape(3, 4), [3, 4], float64);
        Constraint constraint = Constraint.Linear([(v, LinearOperator.FromMatrix(L)), (W, onW)]);
        (Tensor c, LinearOperator J) = constraint.Linearize([W]);
        Check.Close(c, L.mv(v.detach()).add(K.mv(W.detach().reshape(-1))), 1e-13, "c");
        Check.Close(J.MatVec(ones(12, float64)), K.sum(1L, false), 1e-13, "J 1");
    }

    [Test]
    public void The_smallest_weights_are_marked_exactly_ties_too([Values(0, 0.3, 0.9, 1)] double share)
    {
        var tied = new Parameter(zeros(4, 5, float64));
        (Parameter Parameter, Tensor Mask)[] masks = SparsityMask.Smallest([W, tied, v], share);
        Assert.That(masks.Select(m => m.Mask.shape), Is.EqualTo(new[] { W.shape, tied.shape, v.shape }));
        Assert.That(masks.Sum(m => m.Mask.count_nonzero().item<long>()), Is.EqualTo((long)Math.Ceiling(share * 37 - 1e-6)));
        double[] marked = [.. masks.SelectMany(m => Problems.Values(m.Parameter.detach().abs().masked_select(m.Mask)))];
        double[] left = [.. masks.SelectMany(m => Problems.Values(m.Parameter.detach().abs().masked_select(m.Mask.logical_not())))];
        Assert.That(marked.DefaultIfEmpty(0).Max(), Is.LessThanOrEqualTo(left.DefaultIfEmpty(double.PositiveInfinity).Min()));
        Check.LeavesNoTensors(() => {
            using var inner = NewDisposeScope();
            SparsityMask.Smallest([W, tied, v], share);
        });
    }

    [Test]
    public void Layer_by_layer_what_is_left_goes_by_the_sums_of_dimensions([Values(0, 0.3, 0.6, 0.9, 1)] double share)
    {
        var tied = new Parameter(zeros(40, 50, float64));
        Parameter[] layers = [tied, W, v, kernel];
        (Parameter Parameter, Tensor Mask)[] masks = SparsityMask.SmallestPerLayer(layers, share);
        Assert.That(masks.Select(m => m.Mask.shape), Is.EqualTo(layers.Select(p => p.shape)));
        double left = layers.Sum(p => p.numel()) - Math.Ceiling(share * 2053 - 1e-6);
        Assert.That(masks.Sum(m => m.Mask.logical_not().count_nonzero().item<long>()), Is.EqualTo(left));

        // The factor of the sums by bisection: what is left of a layer is that or all of it.
        (double low, double high) = (0, 1e3);
        for (int i = 0; i < 100; i++) {
            double middle = (low + high) / 2;
            (low, high) = layers.Sum(p => Expected(p, middle)) < left ? (middle, high) : (low, middle);
        }
        foreach ((Parameter layer, Tensor mask) in masks) {
            Tensor marked = layer.detach().abs().masked_select(mask), kept = layer.detach().abs().masked_select(mask.logical_not());
            Assert.That(kept.numel(), Is.EqualTo(Expected(layer, high)).Within(1), $"of {layer.numel()}");
            Assert.That(Problems.Values(marked).DefaultIfEmpty(0).Max(), Is.LessThanOrEqualTo(Problems.Values(kept).DefaultIfEmpty(double.PositiveInfinity).Min()));
        }
        Check.LeavesNoTensors(() => {
            using var inner = NewDisposeScope();
            SparsityMask.SmallestPerLayer(layers, share);
        });

        static double Expected(Parameter layer, double factor) => Math.Min(layer.numel(), factor * layer.shape.Sum());
    }

    [Test]
    public void Ramps_go_from_their_beginning_to_their_end()
    {
        Func<long, double> cubic = Ramp.Cubic(0.1, 0.9, 10, 20), linear = Ramp.Linear(1, 0, 0, 4);
        Assert.That(new[] { 0L, 10, 15, 20, 99 }.Select(cubic), Is.EqualTo(new[] { 0.1, 0.1, 0.9 - 0.8 / 8, 0.9, 0.9 }).Within(1e-15));
        Assert.That(new[] { 0L, 1, 4, 5 }.Select(linear), Is.EqualTo(new[] { 1, 0.75, 0, 0 }).Within(1e-15));
        Assert.That(() => Ramp.Linear(0, 1, 5, 5), Throws.ArgumentException.With.Message.Contains("step 5 to 5"));
    }

    [Test]
    public void Misuse_is_refused()
    {
        LinearOperator five = LinearOperator.FromMatrix(Problems.Random(5, 6, 5)), seven = LinearOperator.FromMatrix(Problems.Random(5, 7, 5));
        Assert.That(() => Constraint.Linear([]), Throws.ArgumentException);
        Assert.That(() => Constraint.Linear([(W, five)]), Throws.ArgumentException.With.Message.Contains("(3, 4)").And.Message.Contains("(5)"));
        Assert.That(() => Constraint.Linear([(v, five), (v, seven)]), Throws.ArgumentException.With.Message.Contains("(6) and (7)"));
        Assert.That(() => Constraint.Linear([(v, five)], zeros(5, float64)), Throws.ArgumentException.With.Message.Contains("but is (5)"));
        Assert.That(() => Constraint.Norm(v, -1), Throws.ArgumentException);
        Assert.That(() => Constraint.SmoothSparsity([W], 1.5), Throws.ArgumentException.With.Message.Contains("but is 1.5"));
        Assert.That(() => Constraint.SmoothSparsity([W], 0.5, [1, 2]), Throws.ArgumentException);
        Assert.That(() => Constraint.SmoothSparsity([W], 0.5, [0]), Throws.ArgumentException);
        Assert.That(() => Constraint.SmoothSparsity([], 0.5), Throws.ArgumentException);
        Assert.That(() => Constraint.All([(Constraint.Norm(v, 1), 0)]), Throws.ArgumentException.With.Message.Contains("but is 0"));
        Assert.That(() => Constraint.All(), Throws.ArgumentException);
        Assert.That(() => Constraint.EquivariantWeights(W, five, five), Throws.ArgumentException.With.Message.Contains("(3, 4)"));
        Assert.That(() => SparsityMask.Smallest([W], 2), Throws.ArgumentException);
        Assert.That(() => SparsityMask.Smallest([], 0.5), Throws.ArgumentException);
        Assert.That(() => SparsityMask.SmallestPerLayer([W], double.NaN), Throws.ArgumentException.With.Message.Contains("but is NaN"));
    }
}
