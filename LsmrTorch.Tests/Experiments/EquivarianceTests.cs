using LsmrTorch.Experiments.Equivariance;
using LsmrTorch.Experiments.Images;
using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The symmetries of the square, and networks whose weights commute with them.</summary>
public class EquivarianceTests
{
    private static readonly int[] s_all = [.. Enumerable.Range(0, SquareGroup.Order)];

    [Test]
    public void The_symmetries_are_a_group_and_act_as_one()
    {
        using var scope = NewDisposeScope();
        Tensor x = Problems.Random(1, 2, 3, 4, 4);
        foreach (int a in s_all) {
            Assert.That(SquareGroup.Compose(a, SquareGroup.Inverse(a)), Is.Zero);
            foreach (int b in s_all) {
                Check.Close(SquareGroup.Act(SquareGroup.Compose(a, b), x), SquareGroup.Act(a, SquareGroup.Act(b, x)), 0, $"{a} after {b}");
                // rho(ab) = rho(a) rho(b): channel c of rho(a) f is channel Channels(a)[c] of f.
                long[] first = SquareGroup.Channels(b, 16, true), then = SquareGroup.Channels(a, 16, true);
                Assert.That(then.Select(c => first[c]), Is.EqualTo(SquareGroup.Channels(SquareGroup.Compose(a, b), 16, true)));
            }
        }
        Assert.That(s_all.Select(g => string.Join(" ", Problems.Values(SquareGroup.Act(g, x)))).Distinct().Count(), Is.EqualTo(8), "eight different ones");
    }

    [Test]
    public void A_network_whose_weights_satisfy_the_constraint_answers_the_same_for_every_symmetry()
    {
        using var scope = NewDisposeScope();
        var network = new FieldNet([8, 16, 16], 3);
        network.to(float64);
        Parameter[] parameters = [.. network.parameters()];
        using (no_grad()) {
            foreach (Parameter bias in parameters.Where(p => p.dim() == 1))
                bias.copy_(Problems.Random(7, bias.numel()));
        }
        Tensor images = Problems.Random(5, 4, 3, 8, 8);
        Tensor[] before = [.. s_all.Select(g => network.forward(SquareGroup.Act(g, images)))];
        Assert.That(Vectors.Norm(before[1] - before[0]), Is.GreaterThan(0.01 * Vectors.Norm(before[0])), "not of itself");

        Constraint constraint = FieldConstraint.Of(network);
        var optimizer = new NullSpaceOptimizer(optim.SGD(parameters, 0.0), parameters, constraint, rate: 1);
        network.forward(images).sum().backward();
        NullSpaceReport report = optimizer.step();
        Assert.That(report.PredictedConstraintNorm, Is.LessThan(1e-9 * report.ConstraintNorm));
        Tensor still = network.forward(images);
        foreach (int g in s_all)
            Check.Close(network.forward(SquareGroup.Act(g, images)), still, 1e-8, $"g = {g}");      // the solve's tolerance, 1e-10, through the layers
        Assert.That(Vectors.Norm(still), Is.GreaterThan(0.01), "and is not zero");
    }

    [Test]
    public void The_freedom_is_the_dimension_of_the_weights_that_satisfy_it()
    {
        using var scope = NewDisposeScope();
        var network = new FieldNet([8, 8, 8], 3);
        network.to(float64);
        // By rank: n less that of J, layer by layer, of the smallest network.
        (_, LinearOperator J) = FieldConstraint.Of(network).Linearize([.. network.parameters()]);
        long n = J.Columns, head = network.Head.weight.numel();
        Assert.That(FieldConstraint.Freedom(network), Is.LessThan(n / 4).And.GreaterThan(n / 8));
        Parameter first = network.Convolutions[0].weight;
        (_, LinearOperator ofFirst) = FieldConstraint.Of(network).Linearize([first]);
        Tensor dense = stack([.. eye(first.numel(), dtype: float64).unbind(0).Select(e => ofFirst.Apply(e))], 1);
        long rank = linalg.matrix_rank(dense).item<long>();
        Assert.That(first.numel() - rank, Is.EqualTo(27), "3 colours and 9 places: the first channel of the field is free, the others are it turned");
        Assert.That(head, Is.EqualTo(80));
    }

    [Test]
    public void Images_are_moved_each_by_its_own_symmetry_and_repeatably()
    {
        using var scope = NewDisposeScope();
        Tensor images = Problems.Random(1, 40, 3, 4, 4);
        Tensor moved = RandomSymmetries.Of(images, new Random(4));
        Check.Close(RandomSymmetries.Of(images, new Random(4)), moved, 0, "again");
        var random = new Random(4);
        for (int i = 0; i < 40; i++)
            Check.Close(moved[i], SquareGroup.Act(random.Next(8), images[i]), 0, $"image {i}");
        Check.LeavesNoTensors(() => RandomSymmetries.Of(images, new Random(4)), 1);
    }

    [Test]
    public void Normalised_by_their_own_statistics_images_have_the_logits_of_training_and_leave_the_running_ones()
    {
        using var scope = NewDisposeScope();
        var network = new FieldNet([8, 8, 16], 3);
        Tensor images = Problems.Random(5, 4, 3, 8, 8).to(float32);
        double[][] before = Buffers();
        network.eval();
        Tensor own = network.ByOwnStatistics(images);
        Assert.That(Buffers(), Is.EqualTo(before));
        Check.LeavesNoTensors(() => network.ByOwnStatistics(images), 1);
        network.train();
        Check.Close(own, network.forward(images), 0, "the same operations");
        Assert.That(Buffers(), Is.Not.EqualTo(before), "training moves them");
        using (no_grad()) {
            foreach (Conv2d layer in network.Convolutions)
                layer.weight.mul_(0.5);
        }
        // But for eps = 1e-5 beside variances of about a tenth at the least, in five layers.
        Check.Close(network.ByOwnStatistics(images), own, 1e-2, "the size of the weights does not matter");

        double[][] Buffers() => [.. network.buffers().Select(buffer => Problems.Values(buffer))];
    }

    [Test]
    public void A_step_under_the_constraint_on_the_function_brings_the_answers_together_and_leaves_no_tensors([Values] bool each)
    {
        using var scope = NewDisposeScope();
        EquivarianceSizes sizes = EquivarianceSizes.Of("smoke") with { Widths = [8, 8, 16], FunctionRate = 0.3 };
        using var lane = new FunctionLane("f", new FunctionReading(each, Augments: true, WarmUp: 1), sizes.Widths, sizes, 3, CPU);
        using var batch = new Batch(Problems.Random(6, 16, 3, 8, 8).to(float32), arange(16).remainder(10));
        lane.Step([batch], 0, 0.2);
        Assert.That(lane.LastStep, Is.Null, "the warm-up");
        lane.Step([batch], 1, 0.2);
        Assert.That(lane.LastStep!.PredictedConstraintNorm, Is.LessThan(lane.LastStep.ConstraintNorm));
        Check.LeavesNoTensors(() => lane.Step([batch], 2, 0.2));
        using var unconstrained = new AugmentedLane("augmentation", sizes.Widths, sizes, descents: 1, 3, CPU);
        for (int step = 0; step < 60; step++) {
            unconstrained.Step([batch], step, 1);
            if (step > 2)
                lane.Step([batch], step, 1);
        }
        Assert.That(Difference(lane.Model), Is.LessThan(Difference(unconstrained.Model) / 2));

        double Difference(FieldNet network)
        {
            Tensor[] logits = network.ByOwnStatistics(cat([batch.Images, RandomSymmetries.Of(batch.Images, new Random(1))])).chunk(2);
            return Vectors.Norm(logits[1] - logits[0]) / Vectors.Norm(logits[0]);
        }
    }

    [Test]
    public void A_network_takes_widths_of_whole_fields_and_starts_from_its_seed()
    {
        using var scope = NewDisposeScope();
        Assert.That(() => new FieldNet([8, 12, 16], 1), Throws.ArgumentException.With.Message.Contains("8, 12, 16"));
        Tensor images = Problems.Random(5, 2, 3, 8, 8).to(float32);
        Check.Close(new FieldNet([8, 8, 8], 1).forward(images), new FieldNet([8, 8, 8], 1).forward(images), 0, "one seed");
        Assert.That(Vectors.Norm(new FieldNet([8, 8, 8], 1).forward(images) - new FieldNet([8, 8, 8], 2).forward(images)), Is.Positive);
    }
}
