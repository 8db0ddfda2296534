using System.Globalization;
using System.Runtime.InteropServices;

namespace LsmrTorch.Experiments.Running;

/// <summary>What the kernel counts of this process: resident pages now, and the most there were. Linux only.</summary>
internal static class ProcessMemory
{
    private const string Status = "/proc/self/status";
    private const string ClearRefs = "/proc/self/clear_refs";

    /// <summary>Whether the peak can be reset and read here.</summary>
    public static bool CanMeasure => OperatingSystem.IsLinux() && File.Exists(ClearRefs) && File.Exists(Status);

    /// <summary>The bytes of resident memory that an action takes at its peak, over those before it.</summary>
    public static long PeakOf(Action action)
    {
        GiveBack();                                     // so that it is counted when it is taken again
        long before = ResetPeak();
        action();
        return Math.Max(0, Peak() - before);
    }

    /// <summary>Lets the peak begin anew; returns the bytes that are resident now.</summary>
    public static long ResetPeak()
    {
        File.WriteAllText(ClearRefs, "5\n");            // proc(5): the peak becomes what is resident now
        return Read("VmRSS:");
    }

    /// <summary>The most bytes that were resident since <see cref="ResetPeak"/>.</summary>
    public static long Peak() => Read("VmHWM:");

    /// <summary>Collects garbage, and returns what native allocators hold free to the system, where they can.</summary>
    public static void GiveBack()
    {
        for (int i = 0; i < 2; i++) {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        if (OperatingSystem.IsLinux()) {
            try {
                _ = Trim(0);
            } catch (EntryPointNotFoundException) {     // a C library other than glibc has none
            }
        }
    }

    private static long Read(string name)
    {
        string line = File.ReadLines(Status).First(text => text.StartsWith(name, StringComparison.Ordinal));
        return 1024 * long.Parse(line[name.Length..].Replace("kB", "").Trim(), CultureInfo.InvariantCulture);
    }

    [DllImport("libc", EntryPoint = "malloc_trim")]
    private static extern int Trim(nint pad);
}
