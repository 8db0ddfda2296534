using System.Runtime.InteropServices;

namespace LsmrTorch.Experiments.Running;

/// <summary>
/// Makes libtorch's threads give their core away while they wait for each other. GNU OpenMP lets them spin, which on a
/// machine whose cores are shared costs far more than it saves: beside other work, two threads took five times as long as
/// one; without spinning as long as one.
/// </summary>
internal static class WaitingThreads
{
    /// <summary>Must come before the first use of TorchSharp; what the user has set stays. Linux only.</summary>
    public static void DoNotSpin()
    {
        const string name = "OMP_WAIT_POLICY";
        if (OperatingSystem.IsLinux() && Environment.GetEnvironmentVariable(name) is null) {
            // .NET keeps a copy of the environment, which native libraries do not see.
            _ = SetEnvironmentVariable(name, "PASSIVE", overwrite: 0);
        }
    }

    [DllImport("libc", EntryPoint = "setenv", CharSet = CharSet.Ansi)]
    private static extern int SetEnvironmentVariable(string name, string value, int overwrite);
}
