using System.Diagnostics;
using TorchSharp;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>Times what a device does: a GPU has finished once it has been waited for.</summary>
internal static class Clock
{
    /// <summary>Seconds that the work takes on the device.</summary>
    public static double Seconds(torch.Device device, Action work)
    {
        Wait(device);
        long start = Stopwatch.GetTimestamp();
        work();
        Wait(device);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static void Wait(torch.Device device)
    {
        if (device.type == DeviceType.CUDA) {
            torch.cuda.synchronize();
        }
    }
}
