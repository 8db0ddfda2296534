using LsmrTorch.Experiments.Models;
using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

public class ModelTests
{
    // He et al. 2016, table 6, says 0.27 M for 20 layers and 0.46 M for 32.
    [TestCase(8, 75_290)]
    [TestCase(20, 269_722)]
    [TestCase(32, 464_154)]
    public void A_residual_network_has_the_published_number_of_parameters(int depth, long expected)
    {
        using var model = new ResNet(depth, 10, seed: 0);
        Assert.That(model.parameters().Sum(parameter => parameter.numel()), Is.EqualTo(expected));
    }

    [Test]
    public void A_depth_other_than_6n_plus_2_is_refused() =>
        Assert.That(() => new ResNet(18, 10, 0), Throws.ArgumentException.With.Message.Contains("6n + 2"));

    [Test]
    public void State_keys_are_the_usual_ones()
    {
        using var model = new ResNet(20, 10, 0);
        string[] keys = [.. model.state_dict().Keys];
        Assert.That(keys, Is.SupersetOf(new[] {
            "conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer2.0.bn2.bias", "layer3.2.conv2.weight", "fc.weight", "fc.bias",
        }));
    }

    [Test]
    public void The_shortcut_takes_every_second_pixel_and_pads_the_channels()
    {
        using var scope = NewDisposeScope();
        Tensor x = rand(2, 3, 4, 4);
        Tensor y = ChannelPadding.Apply(x, 5, 2);
        Assert.That(y.shape, Is.EqualTo(new long[] { 2, 5, 2, 2 }));
        for (int i = 0; i < 2; i++) {
            for (int j = 0; j < 2; j++) {
                Assert.That(y[1, 3, i, j].item<float>(), Is.EqualTo(x[1, 2, 2 * i, 2 * j].item<float>()));
            }
        }
        Assert.That(y[0, 0].count_nonzero().item<long>() + y[0, 4].count_nonzero().item<long>(), Is.Zero);
    }

    [Test]
    public void The_seed_alone_decides_the_weights()
    {
        using var scope = NewDisposeScope();
        using var first = new ResNet(8, 10, 5);
        rand(10);
        using var second = new ResNet(8, 10, 5);
        using var third = new ResNet(8, 10, 6);
        Assert.That(Flat(first), Is.EqualTo(Flat(second)));
        Assert.That(Flat(first), Is.Not.EqualTo(Flat(third)));
    }

    [Test]
    public void A_forward_pass_leaves_only_its_result()
    {
        using var scope = NewDisposeScope();
        using var model = new ResNet(8, 10, 0);
        Tensor images = rand(2, 3, 32, 32);
        model.forward(images).Dispose();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using Tensor logits = model.forward(images);
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(before + 1));
        Assert.That(logits.shape, Is.EqualTo(new long[] { 2, 10 }));
    }

    [Test]
    public void The_features_of_an_mlp_cover_its_interval()
    {
        using var scope = NewDisposeScope();
        using var model = new Mlp(32, -9, 9, seed: 1, ScalarType.Float64);
        var first = (Linear)model.named_children().First().module;
        double[] slopes = first.weight!.data<double>().ToArray();
        double[] offsets = first.bias!.data<double>().ToArray();
        double[] centres = [.. slopes.Zip(offsets, (slope, offset) => -offset / slope).Order()];
        Assert.That(centres, Is.EqualTo(Enumerable.Range(0, 32).Select(i => -9 + (18.0 * i / 31))).Within(1e-9));
        Assert.That(model.forward(zeros(5, 1, dtype: float64)).shape, Is.EqualTo(new long[] { 5, 1 }));
    }

    private static float[] Flat(nn.Module model)
    {
        using Tensor flat = nn.utils.parameters_to_vector(model.parameters()).detach();
        return flat.data<float>().ToArray();
    }
}
