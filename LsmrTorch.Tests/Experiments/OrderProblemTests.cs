using LsmrTorch.Experiments.NullSpaceOrder;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>What the problems sparse and equivariant hold, and what they measure.</summary>
public class OrderProblemTests
{
    private static readonly ProblemSizes s_sizes = new() {
        Name = "sparse",
        Steps = 20,
        WarmUpSteps = 3,
        Hidden = 10,
        Points = 6,
        SgdRate = 0.1,
        AdamRate = 1e-2,
        LargeEpsilonRate = 3e-2,
        Rate = 0.1,
        Damp = 0,
    };

    private DisposeScope _scope = null!;

    [SetUp]
    public void OpenScope() => _scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => _scope.Dispose();

    [Test]
    public void The_weights_that_vanish_are_the_smallest_when_the_warm_up_ends_and_stay_so()
    {
        using var problem = new SparseProblem(s_sizes, 4, CPU);
        problem.At(2);
        Assert.That(Masks(problem).Sum(mask => mask.sum().item<long>()), Is.Zero);
        problem.At(3);
        Tensor[] chosen = Masks(problem);
        Assert.That(chosen.Select(mask => mask.sum().item<long>()), Is.EqualTo(new[] { 72L, 90L }));  // of 80 and of 100
        Tensor[] weights = [.. problem.Parameters.Where(parameter => parameter.dim() == 2).Select(parameter => parameter.detach())];
        foreach ((Tensor mask, Tensor weight) in chosen.Zip(weights)) {
            Assert.That(weight[mask].abs().max().item<double>(), Is.LessThan(weight[mask.logical_not()].abs().min().item<double>()));
        }
        using (no_grad()) {
            weights[0].copy_(weights[0].flip(0));
        }
        problem.At(4);
        Assert.That(Masks(problem).Zip(chosen).All(pair => pair.First.eq(pair.Second).all().item<bool>()));
    }

    [Test]
    public void A_checkpoint_brings_the_chosen_weights_back()
    {
        using var problem = new SparseProblem(s_sizes, 4, CPU);
        using var other = new SparseProblem(s_sizes, 5, CPU);
        problem.At(3);
        var kept = new Dictionary<string, Tensor>();
        problem.Save(kept, "a");
        other.Load(kept, "a");
        Assert.That(Masks(other).Zip(Masks(problem)).All(pair => pair.First.eq(pair.Second).all().item<bool>()));
        Assert.That(other.Constraint.Evaluate(other.Parameters).numel(), Is.EqualTo(162));
    }

    [Test]
    public void Measuring_zeroes_the_marked_weights_and_puts_them_back()
    {
        using var problem = new SparseProblem(s_sizes, 4, CPU);
        problem.At(3);
        Tensor[] before = [.. problem.Parameters.Select(parameter => parameter.detach().clone())];
        OrderMeasure measure = problem.Measure();
        Assert.That(problem.Parameters.Zip(before).All(pair => pair.First.eq(pair.Second).all().item<bool>()));
        Tensor c = problem.Constraint.Evaluate(problem.Parameters);
        Assert.That(measure.Constraint, Is.EqualTo(c.square().mean().sqrt().item<double>()).Within(1e-12));
        using (no_grad()) {
            foreach ((Tensor mask, Tensor weight) in Masks(problem).Zip(problem.Parameters.Where(parameter => parameter.dim() == 2))) {
                weight.mul_(mask.logical_not());
            }
        }
        OrderMeasure pruned = problem.Measure();
        Assert.That(pruned.Constraint, Is.Zero);
        Assert.That(pruned.Loss, Is.EqualTo(measure.Other).Within(1e-12));
        Assert.That(pruned.Loss, Is.Not.EqualTo(measure.Loss).Within(1e-6));
    }

    [Test]
    public void Answers_that_turn_with_the_points_satisfy_the_equivariance_and_others_do_not()
    {
        using var problem = new EquivariantProblem(s_sizes with { Name = "equivariant" }, 4, CPU);
        problem.At(0);
        Assert.That(problem.Constraint.Evaluate(problem.Parameters).numel(), Is.EqualTo(6 * 9));
        (Tensor weight, Tensor bias) = (problem.Parameters[^2], problem.Parameters[^1]);
        using (no_grad()) {
            weight.zero_();
            bias.copy_(eye(3).view(9));     // always the unit matrix, which every g leaves as it is
        }
        Assert.That(problem.Constraint.Evaluate(problem.Parameters).abs().max().item<double>(), Is.LessThan(1e-5));
        Assert.That(problem.Measure().Constraint, Is.LessThan(1e-5));
        using (no_grad()) {
            bias[0] = 2;
        }
        Assert.That(problem.Constraint.Evaluate(problem.Parameters).abs().max().item<double>(), Is.GreaterThan(0.1));
        Assert.That(problem.Measure().Constraint, Is.GreaterThan(0.1));
    }

    [Test]
    public void The_points_of_the_equivariance_are_new_in_every_step_and_the_same_when_it_is_done_again()
    {
        using var problem = new EquivariantProblem(s_sizes with { Name = "equivariant" }, 4, CPU);
        Tensor At(int step)
        {
            problem.At(step);
            return problem.Constraint.Evaluate(problem.Parameters);
        }
        Tensor first = At(0), second = At(1), again = At(0);
        Assert.That(first.eq(again).all().item<bool>());
        Assert.That(first.sub(second).abs().max().item<double>(), Is.GreaterThan(1e-3));
    }

    private static Tensor[] Masks(SparseProblem problem)
    {
        var tensors = new Dictionary<string, Tensor>();
        problem.Save(tensors, "");
        return [.. tensors.Values.Select(mask => mask.clone())];
    }
}
