using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Sparsity;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

public class PrunableWeightsTests
{
    private DisposeScope _scope = null!;
    private ResNet _model = null!;
    private PrunableWeights _weights = null!;

    [SetUp]
    public void Make()
    {
        _scope = NewDisposeScope();
        _model = new ResNet(8, 10, seed: 3);
        _weights = new PrunableWeights(_model);
    }

    [TearDown]
    public void Free()
    {
        _model.Dispose();
        _scope.Dispose();
    }

    [Test]
    public void Are_those_of_convolutions_and_linear_layers()
    {
        long others = _model.named_parameters().Where(entry => entry.name.EndsWith("bias") || entry.name.Contains("bn"))
            .Sum(entry => entry.parameter.numel());
        Assert.That(_weights.Count, Is.EqualTo(75_290 - others));
    }

    [TestCase(0.9)]
    [TestCase(0.5)]
    [TestCase(1.0)]
    [TestCase(1e-7)]
    public void A_share_is_met_exactly(double share)
    {
        long expected = Math.Max(1, (long)Math.Ceiling((decimal)share * _weights.Count));
        Tensor mask = _weights.ChooseSmallest(share);
        Assert.That(mask.sum().item<long>(), Is.EqualTo(expected));
        _weights.Zero(mask);
        Assert.That(_weights.CountZeros(), Is.EqualTo(expected));
    }

    [Test]
    public void The_smallest_of_all_layers_together_are_chosen()
    {
        Tensor mask = _weights.ChooseSmallest(0.9);
        Tensor magnitudes = _weights.Flat().abs();
        float largestChosen = magnitudes.masked_select(mask).max().item<float>();
        float smallestKept = magnitudes.masked_select(mask.logical_not()).min().item<float>();
        Assert.That(largestChosen, Is.LessThanOrEqualTo(smallestKept));
    }

    [Test]
    public void Layer_by_layer_a_share_is_met_exactly_and_small_layers_stay_denser()
    {
        Tensor mask = _weights.ChooseSmallestPerLayer(0.9);
        Assert.That(mask.sum().item<long>(), Is.EqualTo((long)Math.Ceiling(0.9m * _weights.Count)));
        double[] left = [.. _weights.Split(mask).Select(pair => 1 - ((double)pair.Mask.sum().item<long>() / pair.Mask.numel()))];
        Assert.That(left[..^1], Is.Ordered.Descending, "convolutions, each as large as the one before it or larger");
        Assert.That(left[0], Is.GreaterThan(0.8));
        Assert.That(left[^2], Is.InRange(0.02, 0.1));
        Assert.That(left[^1], Is.EqualTo(1), "the linear layer, 10×64");
    }

    [Test]
    public void Exact_zeros_are_chosen_again()
    {
        Tensor first = _weights.ChooseSmallest(0.5);
        _weights.Zero(first);
        Tensor second = _weights.ChooseSmallest(0.7);
        Assert.That(first.logical_and(second).sum().item<long>(), Is.EqualTo(_weights.CountFor(0.5)));
    }

    [Test]
    public void The_root_mean_square_is_over_the_chosen_weights()
    {
        Tensor mask = _weights.ChooseSmallest(0.3);
        double expected = Math.Sqrt(_weights.Flat().to(float64).masked_select(mask).square().mean().item<double>());
        Assert.That(_weights.RootMeanSquare(mask), Is.EqualTo(expected).Within(1e-6 * expected));
    }
}
