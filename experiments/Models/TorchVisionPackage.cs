using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Models;

/// <summary>
/// What the package TorchVision adds: its ResNet-50, its transforms, its reader of CIFAR-10. Not every feed has it, so
/// only a build with <c>-p:TorchVision=true</c> contains it, in the one file TorchVisionAdapter.cs; everything works
/// without it.
/// </summary>
internal abstract class TorchVisionPackage
{
    /// <summary>True in a build with the package.</summary>
#if TORCHVISION
    public static bool IsBuiltIn => true;
#else
    public static bool IsBuiltIn => false;
#endif

    /// <summary>The package.</summary>
    /// <exception cref="ExperimentException">This build does not contain it.</exception>
    public static TorchVisionPackage Require() =>
#if TORCHVISION
        new TorchVisionAdapter();
#else
        throw new ExperimentException("This build has no TorchVision; build with -p:TorchVision=true from a feed that has the package.");
#endif

    /// <summary>Its resnet50, which draws its weights from libtorch's generator.</summary>
    public abstract nn.Module<Tensor, Tensor> ResNet50(int classes);

    /// <summary>
    /// Random resized crop, mirroring, and ImageNet's normalisation of bytes B×3×H×W to float32 B×3×side×side; the
    /// images of a batch share what is drawn from libtorch's generator.
    /// </summary>
    public abstract Tensor TrainingTransform(Tensor images, int side);

    /// <summary>
    /// The shorter side resized with antialiasing, the middle cut out, and ImageNet's normalisation of bytes B×3×H×W to float32
    /// B×3×side×side.
    /// </summary>
    public abstract Tensor TestTransform(Tensor images, int side, int shorter);

    /// <summary>
    /// Its CIFAR-10, whose whole files lie in folder/CIFAR10/cifar-10-batches-bin; its bytes come divided by 256.
    /// </summary>
    public abstract utils.data.Dataset Cifar10(string folder, bool train);
}
