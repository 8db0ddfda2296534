using System.Reflection;
using System.Runtime.CompilerServices;
using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>What the layer holds, and for how long.</summary>
public class LayerLifetimeTests
{
    /// <summary>A module whose forward solves with a parameter that only its closure knows, in a scope of its own.</summary>
    private sealed class Deblur : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter left = new(tensor(0.1, float64)), middle = new(tensor(0.9, float64));

        public Deblur() : base(nameof(Deblur)) => RegisterComponents();

        public override Tensor forward(Tensor blurred)
        {
            using var scope = NewDisposeScope();
            LinearOperator A = LinearOperator.FromMatVec(x => x.mul(middle).add(x.roll(1, 0).mul(left)), blurred.shape, blurred.dtype);
            return scope.MoveToOuter(linalg.lsmr(A, blurred, damp: 0.05).Solution);
        }
    }

    [Test]
    public void A_thousand_training_steps_leave_nothing_behind()
    {
        using var outer = NewDisposeScope();
        using var model = new Deblur();
        Tensor truth = Problems.Random(1, 12);
        Tensor blurred = truth.mul(0.7).add(truth.roll(1, 0).mul(0.3));
        using var optimizer = optim.Adam(model.parameters(), 1e-2);
        double first = 0, last = 0;
        void Step()
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            Tensor loss = nn.functional.mse_loss(model.forward(blurred), truth);
            loss.backward();
            optimizer.step();
            last = Vectors.Read(loss);
        }
        for (int i = 0; i < 10; i++)
            Step();
        first = last;
        int nodes = AliveNodes();
        long tensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 1000; i++)
            Step();
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(tensors), "live tensors");
        Assert.That(AliveNodes(), Is.EqualTo(nodes), "autograd nodes");
        Assert.That(last, Is.LessThan(first / 10), "the kernel is learnt through the solver");
    }

    [Test]
    public void A_matrix_made_in_a_scope_that_is_gone_still_serves_the_backward_pass()
    {
        using var outer = NewDisposeScope();
        Tensor A = Problems.Matrix(9, 5, 5, 1), b = Problems.Random(2, 9).requires_grad_();
        Tensor solution;
        using (var inner = NewDisposeScope())
            solution = inner.MoveToOuter(linalg.lsmr(LinearOperator.FromMatrix(A.mul(2)), b).Solution);
        solution.sum().backward();
        Check.Close(b.grad!, linalg.pinv(A.mul(2)).t().mv(ones(5, float64)), 1e-10, "dL/db");
    }

    [Test]
    public void Parameters_changed_in_place_between_solves_are_seen()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(9, 5, 5, 1).requires_grad_(), b = Problems.Random(2, 9);
        LinearOperator op = LinearOperator.FromMatVec(v => A.mv(v), [5], float64);
        linalg.lsmr(op, b).Solution.sum().backward();
        using (no_grad())
            A.add_(Problems.Random(3, 9, 5).mul(0.05));
        A.grad = null;
        Tensor solution = linalg.lsmr(op, b).Solution;
        Check.Close(solution, Problems.Solve(A, b, 0, null), 1e-8, "x"); // forward tolerance 1e-10 times cond^2
        Tensor same = A.detach().requires_grad_();
        Tensor truth = Gradient.Of(linalg.pinv(same).mv(b).sum(), same)[0];
        solution.sum().backward();
        Check.Close(A.grad!, truth, 1e-7, "dL/dA");
    }

    [Test]
    public void Backward_may_run_twice_with_retain_graph()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(9, 5, 5, 1), b = Problems.Random(2, 9).requires_grad_();
        Tensor loss = linalg.lsmr(LinearOperator.FromMatrix(A), b).Solution.sum();
        loss.backward(retain_graph: true);
        Tensor once = b.grad!.clone();
        loss.backward();
        Check.Close(b.grad!, once.mul(2), 1e-15, "twice the gradient");
    }

    [Test]
    public void Without_grad_mode_or_anything_that_requires_a_gradient_the_solution_has_no_graph()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(9, 5, 5, 1), b = Problems.Random(2, 9);
        Tensor theta = A.clone().requires_grad_();
        Assert.That(linalg.lsmr(LinearOperator.FromMatrix(A), b).Solution.requires_grad, Is.False);
        Assert.That(linalg.lsmr(LinearOperator.FromMatVec(v => theta.mv(v), [5], float64), b).Solution.requires_grad, Is.True);
        using (no_grad())
            Assert.That(linalg.lsmr(LinearOperator.FromMatVec(v => theta.mv(v), [5], float64), b).Solution.requires_grad, Is.False);
    }

    [Test]
    public void Solving_and_differentiating_leave_only_what_they_return()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(9, 5, 5, 1).requires_grad_(), b = Problems.Random(2, 9).requires_grad_(), damp = tensor(0.1, float64).requires_grad_();
        Tensor x0 = Problems.Random(4, 5).requires_grad_();
        LinearOperator op = LinearOperator.FromMatVec(v => A.mv(v), [5], float64);
        Tensor? x = null;
        Tensor[] gradients = [];
        Check.LeavesNoTensors(() => x = linalg.lsmr(op, b, damp, x0).Solution, 1);
        Tensor loss = x!.sum();
        Check.LeavesNoTensors(() => gradients = Gradient.Of(loss, A, b, damp, x0), 4);
        Check.LeavesNoTensors(() => {
            using var inner = NewDisposeScope();
            loss.backward(retain_graph: true);
        });
    }

    [Test]
    public void Collections_on_another_thread_change_no_number()
    {
        using var outer = NewDisposeScope();
        Tensor M = Problems.Matrix(12, 8, 20, 1).requires_grad_(), b = Problems.Random(2, 12).requires_grad_(), g = Problems.Random(3, 8);
        using Tensor Mt = M.t();
        (double[] X, double[] Gradient) Run()
        {
            using var scope = NewDisposeScope();
            LinearOperator A = LinearOperator.FromMatVec(v => M.mv(v), [8], float64);
            Tensor x = linalg.lsmr(A, b).Solution;
            Tensor[] gradients = Gradient.Of(x.matmul(g), M, b);
            return (Problems.Values(x), Problems.Values(Vectors.Flatten(gradients)));
        }
        (double[] expectedX, double[] expectedGradient) = Run();
        bool stop = false;
        var collector = new Thread(() => {
            while (!Volatile.Read(ref stop)) {
                GC.KeepAlive(new byte[10_000]);
                GC.Collect(0);
                Thread.Sleep(1);    // back to back, collections would leave the solving thread next to nothing
            }
        });
        int before = GC.CollectionCount(0);
        collector.Start();
        try {
            for (int i = 0; i < 300; i++) {
                (double[] x, double[] gradient) = Run();
                Assert.That(x, Is.EqualTo(expectedX));
                Assert.That(gradient, Is.EqualTo(expectedGradient));
            }
        } finally {
            Volatile.Write(ref stop, true);
            collector.Join();
        }
        Assert.That(GC.CollectionCount(0) - before, Is.GreaterThan(100), "collections while solving");
    }

    [Test]
    public void A_thousand_steps_of_training_beside_a_thread_that_allocates_and_collects_are_those_without_it()
    {
        using var outer = NewDisposeScope();
        double[] Train(bool beside)
        {
            using var scope = NewDisposeScope();
            Tensor theta = tensor([0.1, 0.9, -0.05], float64).requires_grad_(), truth = Problems.Random(1, 16);
            using Tensor left = truth.roll(1, 0), scaled = truth.clone();
            Vectors.Scale(scaled, 0.7);
            Vectors.AddScaled(scaled, 0.3, left);
            // x -> theta0 roll(x, 1) + theta1 x + theta2 roll(x, -1), each intermediate held
            Tensor Product(Tensor x)
            {
                using var inner = NewDisposeScope();
                using Scalar one = 1.0;
                Tensor[] taps = theta.unbind(0), shifted = [x.roll(1, 0), x.alias(), x.roll(-1, 0)];
                Tensor first = shifted[0].mul(taps[0]), second = shifted[1].mul(taps[1]), third = shifted[2].mul(taps[2]);
                Tensor sum = first.add(second, one);
                return inner.MoveToOuter(sum.add(third, one));
            }
            LinearOperator A = LinearOperator.FromMatVec(Product, scaled.shape, scaled.dtype);
            var losses = new List<double>();
            bool stop = false;
            var collector = new Thread(() => {
                while (!Volatile.Read(ref stop)) {
                    GC.KeepAlive(new byte[10_000]);
                    GC.Collect(0);
                    Thread.Sleep(1);
                }
            });
            if (beside)
                collector.Start();
            try {
                for (int step = 0; step < 1000; step++) {
                    using var inner = NewDisposeScope();
                    Tensor x = linalg.lsmr(A, scaled, 0.05).Solution;
                    using Scalar minus = -1.0;
                    Tensor gap = x.add(truth, minus), squares = gap.mul(gap), loss = squares.sum();
                    loss.backward();
                    losses.Add(Vectors.Read(loss));
                    using IDisposable guard = no_grad();        // plain gradient descent, with held Scalars
                    using Tensor gradient = theta.grad!.clone();
                    Vectors.AddScaled(theta, -1e-3, gradient);
                    Vectors.Fill(theta.grad!, 0);
                }
            } finally {
                Volatile.Write(ref stop, true);
                if (beside)
                    collector.Join();
            }
            return [.. losses, .. Problems.Values(theta)];
        }
        double[] alone = Train(false);
        Assert.That(alone[999], Is.LessThan(alone[0] / 2), "it learns");
        long tensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        int collections = GC.CollectionCount(0), nodes = AliveNodes();
        Assert.That(Train(true), Is.EqualTo(alone));
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(tensors), "live tensors");
        Assert.That(AliveNodes(), Is.EqualTo(nodes), "autograd nodes");
        Assert.That(GC.CollectionCount(0) - collections, Is.GreaterThan(100), "collections while training");
    }

    [Test]
    public void The_least_squares_objective_itself_needs_no_gradient_through_the_solution([Values] Shape shape, [Values(0, 0.5)] double damp)
    {
        using var scope = NewDisposeScope();
        (long m, long n) = Problems.Size(shape);
        Tensor A = Problems.Matrix(m, n, 10, 1).requires_grad_(), b = Problems.Random(2, m).requires_grad_();
        Tensor Objective(Tensor x) => (A.mv(x) - b).square().sum() + damp * damp * x.square().sum();
        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b, damp, atol: 0, btol: 0);
        Tensor[] through = Gradient.Of(Objective(result.Solution), A, b), beside = Gradient.Of(Objective(result.Solution.detach()), A, b);
        for (int i = 0; i < 2; i++)
            Check.Close(beside[i], through[i], 1e-9, "A'r = damp² x makes the other term vanish", floor: 1);
    }

    /// <summary>How many nodes of custom functions TorchSharp keeps alive.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int AliveNodes()
    {
        Type node = typeof(autograd).GetNestedType("Node", BindingFlags.NonPublic)!;
        return ((System.Collections.ICollection)node.GetField("AliveNodes", BindingFlags.NonPublic | BindingFlags.Static)!.GetValue(null)!).Count;
    }
}
