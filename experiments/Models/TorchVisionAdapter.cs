extern alias vision;

using TorchSharp;
using static TorchSharp.torch;
using Torchvision = vision::TorchSharp.torchvision;

namespace LsmrTorch.Experiments.Models;

/// <summary>The package TorchVision behind <see cref="TorchVisionPackage"/>; compiled by -p:TorchVision=true alone.</summary>
internal sealed class TorchVisionAdapter : TorchVisionPackage
{
    private static readonly double[] s_mean = [0.485, 0.456, 0.406];
    private static readonly double[] s_deviation = [0.229, 0.224, 0.225];

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> ResNet50(int classes) => Torchvision.models.resnet50(classes);

    /// <inheritdoc/>
    public override Tensor TrainingTransform(Tensor images, int side) =>
        Call(images, Torchvision.transforms.RandomResizedCrop(side), Torchvision.transforms.RandomHorizontalFlip());

    /// <inheritdoc/>
    public override Tensor TestTransform(Tensor images, int side, int shorter) =>
        Call(images, Torchvision.transforms.Resize(shorter, InterpolationMode.Bilinear, antialias: true), Torchvision.transforms.CenterCrop(side));

    /// <inheritdoc/>
    public override utils.data.Dataset Cifar10(string folder, bool train) => Torchvision.datasets.CIFAR10(folder, train);

    private static Tensor Call(Tensor images, params Torchvision.ITransform[] crops)
    {
        using var scope = NewDisposeScope();
        Torchvision.ITransform normalise = Torchvision.transforms.Normalize(s_mean, s_deviation, device: images.device);
        Torchvision.ITransform all = Torchvision.transforms.Compose([.. crops, Torchvision.transforms.ConvertImageDtype(ScalarType.Float32), normalise]);
        return all.call(images).MoveToOuterDisposeScope();
    }
}
