using LsmrTorch.Experiments.Models;
using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

public class LargeModelTests
{
    // torchvision's own figures ("num_params" of its weights), and Zagoruyko and Komodakis 2016, table 4: 36.5 M. The
    // published networks have 1,000 classes, the wide ones 10 and 100 (90 more columns of 640, with a bias each).
    [TestCase("resnet50", 25_557_032)]
    [TestCase("swin_t", 28_288_354)]
    [TestCase("swin_s", 49_606_258)]
    [TestCase("wrn_28_10", 36_479_194)]
    public void A_published_network_has_the_published_number_of_parameters(string name, long expected)
    {
        using nn.Module<Tensor, Tensor> model = Make(name);
        Assert.That(model.parameters().Sum(parameter => parameter.numel()), Is.EqualTo(expected));
    }

    [Test]
    public void Keys_and_shapes_of_resnet50_are_torchvisions()
    {
        using nn.Module<Tensor, Tensor> model = Make("resnet50");
        var expected = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Convolution("conv1", 64, 3, 7);
        Normalisation("bn1", 64);
        int[] blocks = [3, 4, 6, 3];
        for (int layer = 1; layer <= 4; layer++) {
            int width = 64 << (layer - 1);
            for (int block = 0; block < blocks[layer - 1]; block++) {
                string at = $"layer{layer}.{block}";
                int inputs = block > 0 ? 4 * width : layer == 1 ? 64 : 2 * width;
                Convolution($"{at}.conv1", width, inputs, 1);
                Normalisation($"{at}.bn1", width);
                Convolution($"{at}.conv2", width, width, 3);
                Normalisation($"{at}.bn2", width);
                Convolution($"{at}.conv3", 4 * width, width, 1);
                Normalisation($"{at}.bn3", 4 * width);
                if (block == 0) {
                    Convolution($"{at}.downsample.0", 4 * width, inputs, 1);
                    Normalisation($"{at}.downsample.1", 4 * width);
                }
            }
        }
        (expected["fc.weight"], expected["fc.bias"]) = ("1000 2048", "1000");
        Assert.That(expected, Has.Count.EqualTo(320)); // as many as torchvision's
        Assert.That(Shapes(model), Is.EqualTo(expected));

        void Convolution(string key, int outputs, int inputs, int side) => expected[$"{key}.weight"] = $"{outputs} {inputs} {side} {side}";

        void Normalisation(string key, int channels)
        {
            foreach (string part in new[] { "weight", "bias", "running_mean", "running_var" }) {
                expected[$"{key}.{part}"] = $"{channels}";
            }
            expected[$"{key}.num_batches_tracked"] = "";
        }
    }

    [TestCase("swin_t", 6)]
    [TestCase("swin_s", 18)]
    public void Keys_and_shapes_of_swin_are_torchvisions(string name, int third)
    {
        using nn.Module<Tensor, Tensor> model = Make(name);
        var expected = new SortedDictionary<string, string>(StringComparer.Ordinal) {
            ["features.0.0.weight"] = "96 3 4 4",
            ["features.0.0.bias"] = "96",
        };
        Normalisation("features.0.2", 96);
        int[] depths = [2, 2, third, 2];
        for (int stage = 0; stage < 4; stage++) {
            int width = 96 << stage;
            for (int block = 0; block < depths[stage]; block++) {
                string at = $"features.{1 + (2 * stage)}.{block}";
                Normalisation($"{at}.norm1", width);
                expected[$"{at}.attn.relative_position_bias_table"] = $"169 {3 << stage}";
                expected[$"{at}.attn.relative_position_index"] = "2401";
                Linear($"{at}.attn.qkv", 3 * width, width);
                Linear($"{at}.attn.proj", width, width);
                Normalisation($"{at}.norm2", width);
                Linear($"{at}.mlp.0", 4 * width, width);
                Linear($"{at}.mlp.3", width, 4 * width);
            }
            if (stage < 3) {
                expected[$"features.{2 + (2 * stage)}.reduction.weight"] = $"{2 * width} {4 * width}";
                Normalisation($"features.{2 + (2 * stage)}.norm", 4 * width);
            }
        }
        Normalisation("norm", 768);
        Linear("head", 1000, 768);
        Assert.That(Shapes(model), Is.EqualTo(expected));

        void Linear(string key, int outputs, int inputs) => (expected[$"{key}.weight"], expected[$"{key}.bias"]) = ($"{outputs} {inputs}", $"{outputs}");
        void Normalisation(string key, int channels) => (expected[$"{key}.weight"], expected[$"{key}.bias"]) = ($"{channels}", $"{channels}");
    }

    [Test]
    public void A_wide_network_keeps_its_shortcut_where_the_shape_stays()
    {
        using nn.Module<Tensor, Tensor> model = new WideResNet(10, 1, 10, 0);
        string[] shortcuts = [.. model.state_dict().Keys.Where(key => key.Contains("shortcut"))];
        Assert.That(shortcuts, Is.EquivalentTo(new[] { "layer2.0.shortcut.weight", "layer3.0.shortcut.weight" }));
        Assert.That(() => new WideResNet(20, 1, 10, 0), Throws.ArgumentException.With.Message.Contains("6n + 4"));
    }

    // Swin is tried at a side that is neither whole patches of windows nor even after the merging.
    [TestCase("resnet50", 64)]
    [TestCase("small_swin", 40)]
    [TestCase("small_wrn", 32)]
    public void Logits_reach_every_parameter_and_nothing_else_is_left(string name, long side)
    {
        using var scope = NewDisposeScope();
        using nn.Module<Tensor, Tensor> model = Make(name, classes: 7);
        Tensor images = rand(2, 3, side, side);
        using (no_grad()) {
            model.forward(images).Dispose();
        }
        Tensor logits = null!;
        Check.LeavesNoTensors(() => logits = model.forward(images), returned: 1);
        Assert.That(logits.shape, Is.EqualTo(new long[] { 2, 7 }));
        nn.functional.cross_entropy(logits, tensor(new long[] { 1, 5 })).backward();
        EveryParameterHasAGradient(model);
    }

    [TestCase("swin_t", 224, 1000)]
    [TestCase("wrn_28_10", 32, 10)]
    public void A_published_network_maps_an_image_of_its_size_to_logits(string name, long side, long classes)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        using nn.Module<Tensor, Tensor> model = Make(name);
        model.eval();
        Tensor logits = null!;
        Tensor image = randn(1, 3, side, side);
        Check.LeavesNoTensors(() => logits = model.forward(image), returned: 1);
        Assert.That(logits.shape, Is.EqualTo(new long[] { 1, classes }));
        Assert.That(logits.isfinite().all().item<bool>() && logits.std().item<float>() > 0, Is.True);
    }

    [TestCase("resnet50")]
    [TestCase("small_swin")]
    [TestCase("small_wrn")]
    public void The_seed_alone_decides_the_weights(string name)
    {
        using var scope = NewDisposeScope();
        using nn.Module<Tensor, Tensor> first = Make(name, seed: 5);
        rand(10);
        using nn.Module<Tensor, Tensor> second = Make(name, seed: 5);
        using nn.Module<Tensor, Tensor> third = Make(name, seed: 6);
        Dictionary<string, Tensor> again = second.state_dict();
        Dictionary<string, Tensor> other = third.state_dict();
        foreach ((string key, Tensor value) in first.state_dict()) {
            Assert.That(value.eq(again[key]).all().item<bool>(), Is.True, key);
        }
        Assert.That(first.named_parameters().Where(p => p.parameter.dim() > 1).Any(p => p.parameter.eq(other[p.name]).all().item<bool>()), Is.False);
    }

    [Test]
    public void A_wide_network_begins_with_activations_of_the_size_of_its_input()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        using var model = new WideResNet(16, 2, 10, 3);
        // Normalised at the end, so that the logits are a sum of 128 terms of mean square 1/2 with weights of variance 1/(3·128).
        double deviation = model.forward(randn(64, 3, 32, 32)).std().item<float>();
        Assert.That(deviation, Is.InRange(0.05, 1.0));
    }

    internal static void EveryParameterHasAGradient(nn.Module model)
    {
        foreach ((string name, Parameter parameter) in model.named_parameters().Select(p => (p.name, p.parameter))) {
            Assert.That(parameter.grad, Is.Not.Null, name);
            double size = parameter.grad!.norm().ToDouble();
            Assert.That(double.IsFinite(size) && size > 0, Is.True, $"the gradient of {name} has norm {size}");
        }
    }

    private static nn.Module<Tensor, Tensor> Make(string name, long classes = 1000, long seed = 0) => name switch {
        "resnet50" => new ResNet50(classes, seed),
        "swin_t" => Swin.Tiny(classes, seed),
        "swin_s" => Swin.Small(classes, seed),
        "small_swin" => new Swin(4, 8, [2, 2], [2, 4], 3, 0, classes, seed),
        "small_wrn" => new WideResNet(10, 2, classes, seed),
        _ => new WideResNet(28, 10, 10, seed),
    };

    private static SortedDictionary<string, string> Shapes(nn.Module model) => new(
        model.state_dict().ToDictionary(entry => entry.Key, entry => string.Join(' ', entry.Value.shape)), StringComparer.Ordinal);
}
