using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

public class TorchVisionTests
{
    [Test]
    public void A_build_without_the_package_says_so_in_a_sentence()
    {
        if (TorchVisionPackage.IsBuiltIn) {
            Assert.Ignore("This build has TorchVision.");
        }
        Assert.That(TorchVisionPackage.Require, Throws.TypeOf<ExperimentException>().With.Message.Contains("-p:TorchVision=true"));
    }

    [Test]
    public void Its_resnet50_and_ours_are_the_same_function_of_the_same_weights()
    {
        TorchVisionPackage package = Require();
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        using nn.Module<Tensor, Tensor> theirs = package.ResNet50(10);
        using var ours = new ResNet50(10, seed: 1);
        theirs.save(folder["weights.dat"]);
        WeightsFile.Load(ours, folder["weights.dat"]);
        ours.eval();
        theirs.eval();
        Tensor images = rand(2, 3, 64, 64);
        Check.Close(ours.forward(images), theirs.forward(images), 1e-4, "logits"); // float32 through fifty layers
    }

    [Test]
    public void Its_test_transform_and_ours_agree()
    {
        TorchVisionPackage package = Require();
        using var scope = NewDisposeScope();
        using var image = new DecodedImage(50, 40);
        new Random(1).NextBytes(image.Pixels);
        var planes = new byte[3 * 28 * 28];
        ImageCrop.Central(image, 28, 32, planes);
        Tensor ours = ImageNet.Normalise(tensor(planes, uint8).view(1, 3, 28, 28));
        Tensor bytes = tensor(image.Pixels.ToArray(), uint8).view(1, 40, 50, 4).narrow(3, 0, 3).permute(0, 3, 1, 2).contiguous();
        Tensor theirs = null!;
        Check.LeavesNoTensors(() => theirs = package.TestTransform(bytes, 28, 32), returned: 1);
        // Both round to bytes, each in its own order: two steps of 1/255 over the smallest deviation 0.224.
        Assert.That((ours - theirs).abs().max().item<float>(), Is.LessThan(2.01 / (255 * 0.224)));
        Assert.That(package.TrainingTransform(bytes, 28).shape, Is.EqualTo(new long[] { 1, 3, 28, 28 }));
    }

    [Test]
    public void Its_cifar10_reads_what_the_generator_writes()
    {
        TorchVisionPackage package = Require();
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        Cifar10Generator.Write(folder["CIFAR10/cifar-10-batches-bin"], 1, 10_000, seed: 2);
        using utils.data.Dataset theirs = package.Cifar10(folder.FullName, train: false);
        Assert.That(theirs.Count, Is.EqualTo(10_000));
        using Cifar10 ours = Cifar10Generator.Generate(5, 10_000, seed: 2);
        Dictionary<string, Tensor> third = theirs.GetTensor(3);
        Assert.That(third["label"].to(int64).item<long>(), Is.EqualTo(ours.TestLabels[3].item<long>()));
        Check.Close(third["data"].view(3, 32, 32), ours.TestImages[3].to(float32) / 256, 0, "image");
    }

    private static TorchVisionPackage Require()
    {
        if (!TorchVisionPackage.IsBuiltIn) {
            Assert.Ignore("This build has no TorchVision: -p:TorchVision=true adds it where the feed has the package.");
        }
        return TorchVisionPackage.Require();
    }
}
