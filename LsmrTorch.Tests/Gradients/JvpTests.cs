using NUnit.Framework;
using TorchSharp;
using static LsmrTorch.Tests.Gradients.DifferentiableProblems;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>Tangents of a solution, against central differences and against the reverse gradient.</summary>
public class JvpTests
{
    private static (Tensor Input, Tensor Tangent)[] Tangents(Tensor[] inputs) =>
        [.. inputs.Select((x, i) => (x, Problems.Random(20 + i, x.shape)))];

    private static Tensor Jvp(LinearOperator A, Tensor[] at, params (Tensor Input, Tensor Tangent)[] tangents) =>
        Lsmr.Jvp(A, at[1], Solution(A, at), tangents, Options(at));

    [Test]
    public void A_tangent_is_adjoint_to_the_gradient([Values] Holder holder, [Values] Shape shape, [Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, damp);
        LinearOperator A = Operator(holder, inputs[0]);
        Tensor g = Problems.Random(14, inputs[3].shape);
        Tensor[] gradients = Gradient.Of(Solution(A, inputs).mul(g).sum(), inputs);
        (Tensor Input, Tensor Tangent)[] all = Tangents(inputs);
        for (int i = 0; i < inputs.Length; i++) {
            double forward = Vectors.Dot(Jvp(A, inputs, all[i]), g), reverse = Vectors.Dot(gradients[i], all[i].Tangent);
            Assert.That(forward, Is.EqualTo(reverse).Within(1e-9 * Math.Max(1, Math.Abs(reverse))), Names[i]); // 1e-12 times cond^2, twice
        }
    }

    [Test]
    public void A_tangent_agrees_with_central_differences([Values] Holder holder, [Values] Shape shape, [Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, damp);
        (Tensor Input, Tensor Tangent)[] tangents = Tangents(inputs);
        if (damp == 0)
            tangents[2].Tangent = zeros_like(tangents[2].Tangent);  // a negative damping is refused
        Tensor found = Jvp(Operator(holder, inputs[0]), inputs, tangents);
        const double Step = 1e-5;
        Tensor Moved(double t)
        {
            Tensor[] at = [.. tangents.Select(pair => pair.Input.detach().add(pair.Tangent.mul(t)))];
            return Solution(Operator(holder, at[0]), at);
        }
        Check.Close(found, Moved(Step).sub(Moved(-Step)).div(2 * Step), 1e-6, "dx", floor: 1);
    }

    [Test]
    public void A_tangent_of_deficient_rank_is_that_of_changes_that_keep_the_rank([Values] Shape shape, [Values] bool consistent)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        Tensor M = Problems.Matrix(m, n, 3, 2, deficient: true);
        Tensor x0 = Problems.Random(4, n).requires_grad_(), angle = zeros(1, float64).requires_grad_(), start = Problems.Random(5, n);
        Tensor b = (consistent ? M.mv(start) : Problems.Random(3, m)).requires_grad_();
        Tensor left = Problems.Random(6, m, m), right = Problems.Random(7, n, n);
        // (I + t L) M (I + t R) has the rank of M.
        Tensor Moved(Tensor t) => eye(m, dtype: float64).add(left.mul(t)).mm(M).mm(eye(n, dtype: float64).add(right.mul(t)));
        Tensor Truth(double t)
        {
            Tensor A = Moved(tensor(t, float64)), moved = x0.detach().mul(1 + t);
            return moved.add(linalg.pinv(A, 1e-8).mv(b.detach().mul(1 - t).sub(A.mv(moved))));
        }
        LinearOperator op = LinearOperator.FromMatVec(v => Moved(angle).mv(v), [n], float64);
        var options = new LsmrOptions { Start = x0, Atol = 0, Btol = 0 };
        Tensor x = Truth(0);
        Tensor found = Lsmr.Jvp(op, b, x, [(angle, ones(1, float64)), (x0, x0.detach()), (b, b.detach().neg())], options);
        Check.Close(found, Truth(1e-5).sub(Truth(-1e-5)).div(2e-5), 1e-6, "dx");
        // Its parts, of which each takes another branch.
        Tensor start0 = Lsmr.Jvp(op, b, x, [(x0, x0.detach())], options);
        Check.Close(start0, x0.sub(linalg.pinv(M, 1e-8).mv(M.mv(x0))), 1e-9, "dx for dx0");
    }

    [Test]
    public void What_the_solution_does_not_depend_on_has_no_tangent()
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(Shape.Tall, 0.5);
        Tensor other = ones(3).requires_grad_();
        Tensor found = Jvp(Operator(Holder.Dense, inputs[0]), inputs, (other, ones(3)));
        Check.Close(found, zeros_like(inputs[3]), 0, "dx", floor: 1);
    }

    [Test]
    public void A_tangent_carries_no_graph_and_leaves_only_itself([Values] Shape shape, [Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(shape, damp);
        LinearOperator A = Operator(Holder.MatVec, inputs[0]);
        Tensor x = Solution(A, inputs);
        LsmrOptions options = Options(inputs);
        (Tensor Input, Tensor Tangent)[] tangents = Tangents(inputs);
        Tensor? dx = null;
        Check.LeavesNoTensors(() => dx = Lsmr.Jvp(A, inputs[1], x, tangents, options), 1);
        Assert.That(dx!.requires_grad, Is.False);
        Assert.That(inputs.Select(input => input.grad), Is.All.Null);
    }

    [Test]
    public void Misuse_is_refused()
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(Shape.Tall, 0.5);
        LinearOperator A = Operator(Holder.Dense, inputs[0]);
        Assert.That(() => Jvp(A, inputs, (inputs[1].detach(), inputs[1])), Throws.ArgumentException.With.Message.Contains("does not require a gradient"));
        Assert.That(() => Jvp(A, inputs, (inputs[1], inputs[3])), Throws.ArgumentException.With.Message.Contains("A tangent must be as its tensor, (14) and Float64, but is (6) and Float64."));
        Assert.That(() => Lsmr.Jvp(A, inputs[1], inputs[1], []), Throws.ArgumentException.With.Message.Contains("solution has shape (14)"));
    }

    [Test]
    public void A_solution_of_another_map_is_refused(
        [Values(Capture.MatVec, Capture.MatVecVecMat, Capture.Jacobian, Capture.Derived)] Capture capture,
        [Values] Shape shape,
        [Values(0, 0.5)] double damp, [Values(1.5, 1 + 1e-6)] double factor)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        var map = new CapturedMap(Problems.Matrix(m, n, 3, 1).requires_grad_());
        LinearOperator A = map.Operator(capture);
        Tensor b = Problems.Random(2, m).requires_grad_(), db = Problems.Random(3, m);
        var options = new LsmrOptions { Damp = damp };
        Tensor x = Lsmr.Solve(A, b, options).Solution.detach();
        Assert.That(Problems.Values(Lsmr.Jvp(A, b, x, [(b, db)], options)), Has.None.NaN);
        map.Matrix = (map.Matrix.detach() * factor).requires_grad_();
        foreach (Tensor input in new[] { b, map.Matrix }) {
            Assert.That(() => Lsmr.Jvp(A, b, x, [(input, zeros_like(input.detach()))], options),
                Throws.ArgumentException.With.Message.StartsWith("The solution must satisfy Aᵀ(b − A x) = λ²(x − x0)")
                    .And.Property("ParamName").EqualTo("solution"));
        }
        Tensor Answered(Unconverged answer) =>
            Lsmr.Jvp(A, b, x, [(b, db)], options with { Gradient = new() { WhenUnconverged = answer } });
        Assert.That(Problems.Values(Answered(Unconverged.NaN)), Is.All.NaN);
        Assert.That(Problems.Values(Answered(Unconverged.Accept)), Has.None.NaN);
    }

    [Test]
    public void A_solution_that_is_not_the_nearest_to_the_start_is_refused([Values] bool wide)
    {
        using var scope = NewDisposeScope();
        Tensor M = wide ? Problems.Matrix(6, 14, 3, 1) : Problems.Matrix(14, 6, 3, 1, deficient: true);
        M.requires_grad_();
        Tensor b = Problems.Random(2, M.shape[0]);
        LinearOperator A = LinearOperator.FromMatrix(M);
        Tensor x = linalg.lsmr(A, b).Solution.detach(), z = Problems.Random(4, x.shape),
            null_ = z - linalg.pinv(M.detach(), 1e-8).mv(M.detach().mv(z));
        Assert.That(Problems.Values(Lsmr.Jvp(A, b, x, [(M, ones_like(M.detach()))])), Has.None.NaN);
        Assert.That(() => Lsmr.Jvp(A, b, x + 0.01 * null_, [(M, ones_like(M.detach()))]),
            Throws.ArgumentException
                .With.Message.StartsWith("Of several solutions, the undamped one must be that nearest to x0"));
    }

    [Test]
    public void The_solution_of_a_loose_or_preconditioned_solve_is_one(
        [Values(1e-3, 1e-6, 0)] double tolerance, [Values(0, 0.1)] double damp, [Values] bool preconditioned,
        [Values(ScalarType.Float32, ScalarType.Float64)] ScalarType dtype, [Values(10, 1e3)] double cond,
        [Values] bool consistent)
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(80, 30, cond, 1, dtype) * linspace(1, 50, 30, dtype),
            x0 = Problems.Random(5, 30).to(dtype).requires_grad_();
        Tensor b = consistent ? M.mv(Problems.Random(2, 30).to(dtype)) : Problems.Random(2, 80).to(dtype);
        b.requires_grad_();
        LinearOperator A = LinearOperator.FromMatrix(M);
        var options = new LsmrOptions {
            Damp = damp,
            Start = x0,
            Atol = tolerance,
            Btol = tolerance,
            ConditionLimit = 0,
            MaxIterations = 5000,
            Preconditioner = preconditioned ? LsmrTorch.Preconditioner.ColumnScaling(A, damp) : null,
            Gradient = new() { MaxIterations = 5000, Tolerance = 1e-3 },
        };
        LsmrResult result = Lsmr.Solve(A, b.detach(), options with { Start = x0.detach() });
        Assume.That(result.Converged, result.ToString());
        (Tensor, Tensor)[] tangents = [(b, ones_like(b.detach())), (x0, ones_like(x0.detach()))];
        Assert.That(Problems.Values(Lsmr.Jvp(A, b, result.Solution, tangents, options)), Has.None.NaN);
    }

    [Test]
    public void An_unconverged_run_throws_or_gives_NaN_or_is_accepted([Values(0, 1e-3)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor theta = Problems.Matrix(12, 8, 1e3, 1).requires_grad_(), b = Problems.Random(2, 12);
        LinearOperator A = LinearOperator.FromMatrix(theta);
        Tensor x = Lsmr.Solve(A, b, new LsmrOptions { Damp = damp }).Solution.detach();
        Tensor Tangent(Unconverged answer) => Lsmr.Jvp(A, b, x, [(theta, ones_like(theta))],
            new LsmrOptions { Damp = damp, Gradient = new() { MaxIterations = 1, WhenUnconverged = answer } });
        Assert.That(() => Tangent(Unconverged.Throw), Throws.InstanceOf<LsmrException>().With.Message.Contains("did not converge"));
        Assert.That(Problems.Values(Tangent(Unconverged.NaN)), Is.All.NaN);
        Assert.That(Problems.Values(Tangent(Unconverged.Accept)), Has.None.NaN);
    }
}
