using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>What the damping and the metric are made of follows the training.</summary>
public class ConditionLimitTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    [Test]
    public void The_damping_follows_the_norm_of_the_jacobian_that_the_last_step_found()
    {
        Parameter theta = new(Problems.Random(1, 12));
        Tensor J = Problems.Matrix(4, 12, 1e6, 5);                      // its norm is 1
        double size = 1;
        var optimizer = new NullSpaceOptimizer(optim.SGD([theta], 0.01), [theta], () => J.mv(theta).mul(size),
            0.5) { ConditionLimit = 100 };
        // the first step solves twice
        double[] sizes = [1, 20, 20, 0.05, 0.05, 3], dampings = [1, 1, 20, 20, 0.05, 0.05];
        for (int i = 0; i < sizes.Length; i++) {
            size = sizes[i];
            optimizer.zero_grad();
            theta.sub(1.0).square().sum().backward();
            NullSpaceReport report = optimizer.step();
            Assert.That(report.Damp * 2, Is.EqualTo(dampings[i] / 100).Within(0.3).Percent,
                $"step {i}: |J| / limit, k = 4");
        }
    }

    [Test]
    public void The_metric_is_made_with_its_epsilon([Values(1e-8, 0.05, 3)] double epsilon)
    {
        Parameter theta = new(Problems.Random(1, 6));
        Tensor M = Problems.Random(2, 2, 6), before = theta.detach().clone(), g = Problems.Random(3, 6);
        var optimizer = new NullSpaceOptimizer(optim.SGD([theta], 0.1), [theta], () => M.mv(theta), 0.4) {
            Order = ProjectionOrder.Metric,
            MetricEpsilon = epsilon,
            Tolerance = 1e-14,
        };
        theta.mul(g).sum().backward();
        optimizer.step();
        Tensor D = diag(1 / (g.abs() + epsilon)), delta = -0.1 * g;     // v̂ of one step is g²
        Tensor z = D.mm(M.t()).mv(linalg.solve(M.mm(D).mm(M.t()), M.mv(delta) + 0.4 * M.mv(before)));
        Check.Close(theta.detach() - before, delta - z, 1e-9, "Delta'");
    }

    [Test]
    public void A_metric_that_is_not_finite_is_refused()
    {
        Parameter theta = new(ones(6, float32));
        var optimizer = new NullSpaceOptimizer(optim.SGD([theta], 0.1), [theta], () => theta.sum().reshape(1)) {
            Order = ProjectionOrder.Metric,
            MetricEpsilon = 1e-44,
        };
        theta[0].backward();                                            // v is 0 for the others
        Assert.That(() => optimizer.step(), Throws.ArgumentException
            .With.Message.Contains("finite in Float32, but is 1E-44"));
        Assert.That(Problems.Values(theta), Is.All.EqualTo(1));
    }
}
