using TorchSharp;

namespace LsmrTorch.Experiments.Running;

/// <summary>Opens what --device and --threads name.</summary>
internal static class Devices
{
    /// <summary>The device, with libtorch's threads set.</summary>
    /// <exception cref="ExperimentException">There is no CUDA device, or this build cannot use it.</exception>
    public static torch.Device Open(RunSettings settings)
    {
        if (settings.Threads is int threads) {
            torch.set_num_threads(threads);
        }
        if (settings.Device == "cpu") {
            return torch.CPU;
        }
        if (!torch.cuda.is_available()) {
            throw new ExperimentException(
                "--device cuda needs a CUDA device and a build with -p:Torch=cuda; this process sees none.");
        }
        return torch.CUDA;
    }
}
