using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Inertia;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The group, its representations, and what the constraints hold.</summary>
public class InertiaTests
{
    private static readonly InertiaSizes s_sizes = InertiaSizes.Of("smoke");

    [Test]
    public void Elements_are_orthogonal_and_half_of_them_reflect()
    {
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Torch(3, "elements");
        Tensor g = OrthogonalGroup.Draw(400, generator);
        Assert.That(g.matmul(g.transpose(1, 2)).sub(eye(3)).abs().max().item<float>(), Is.LessThan(1e-5));
        Assert.That(linalg.det(g).mean().item<float>(), Is.EqualTo(0).Within(0.2));
    }

    [Test]
    public void Representations_are_homomorphisms_and_act_as_on_tensors()
    {
        using var scope = NewDisposeScope();
        var representation = new Representation(2, 2, 1);
        using Generator generator = Seeds.Torch(4, "elements");
        Tensor g = OrthogonalGroup.Draw(1, generator)[0], h = OrthogonalGroup.Draw(1, generator)[0];
        Tensor difference = representation.Of(g.matmul(h)).sub(representation.Of(g).matmul(representation.Of(h)));
        Assert.That(difference.abs().max().item<float>(), Is.LessThan(1e-5));
        Tensor t = randn([3, 3], generator: generator);
        Tensor moved = representation.Of(g).narrow(0, 8, 9).narrow(1, 8, 9).mv(t.reshape(-1)).view(3, 3);
        Assert.That(moved.sub(g.matmul(t).matmul(g.t())).abs().max().item<float>(), Is.LessThan(1e-5));
    }

    [Test]
    public void The_true_map_is_equivariant_and_a_plain_network_is_not()
    {
        using var scope = NewDisposeScope();
        using var data = new InertiaData(30, s_sizes, 5);
        InertiaMeasure truth = InertiaMeasure.Of(x => InertiaTask.InertiaOf(x.narrow(1, 0, 5), x.narrow(1, 5, 15).reshape(-1, 5, 3)), data.Test);
        Assert.That(truth.Equivariance, Is.LessThan(1e-5));
        using var network = new InertiaMlp(16, 5);
        Assert.That(InertiaMeasure.Of(network.forward, data.Test).Equivariance, Is.GreaterThan(0.05));
    }

    [Test]
    public void Constrained_weights_are_equivariant_to_rounding_after_steps_and_others_are_not()
    {
        using var data = new InertiaData(100, s_sizes, 6);
        using var ours = new WeightsLane("w", s_sizes with { WeightsTolerance = 1e-6 }, data, new TensorNet(4, 3, 6));
        using var free = new InertiaLane("free", s_sizes, data, new TensorNet(4, 3, 6));
        double loss = 0, first = ours.Step(0).Loss;
        for (int step = 1; step < 20; step++) {
            loss = ours.Step(step).Loss;
            free.Step(step);
        }
        Assert.That(InertiaMeasure.Of(ours.Network.forward, data.Test).Equivariance, Is.LessThan(1e-4));
        Assert.That(InertiaMeasure.Of(free.Network.forward, data.Test).Equivariance, Is.GreaterThan(1e-2));
        Assert.That(loss, Is.LessThan(first));
    }
}
