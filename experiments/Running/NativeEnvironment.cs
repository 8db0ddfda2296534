using System.Runtime.InteropServices;

namespace LsmrTorch.Experiments.Running;

/// <summary>
/// Variables that libtorch reads when it is loaded, set for this process where the user has not set them. Linux only.
/// </summary>
internal static class NativeEnvironment
{
    /// <summary>Must come before the first use of TorchSharp.</summary>
    public static void Prepare()
    {
        // GNU OpenMP lets waiting threads spin. On a machine whose cores are shared that costs far more than it saves:
        // beside other work, two threads took five times as long as one, and without spinning as long as one.
        SetUnlessSet("OMP_WAIT_POLICY", "PASSIVE");
    }

    /// <summary>
    /// MKL's sums depend on where in memory a tensor happens to lie (seen on AMD, in float64), unless it is asked for reproducible ones; without it a resumed run
    /// differs in the last digits. Must come before the first product.
    /// </summary>
    public static void MakeReproducible() => SetUnlessSet("MKL_CBWR", "AUTO");

    private static void SetUnlessSet(string name, string value)
    {
        if (OperatingSystem.IsLinux() && Environment.GetEnvironmentVariable(name) is null) {
            _ = SetEnvironmentVariable(name, value, overwrite: 0); // .NET keeps a copy, which native libraries do not see
        }
    }

    [DllImport("libc", EntryPoint = "setenv", CharSet = CharSet.Ansi)]
    private static extern int SetEnvironmentVariable(string name, string value, int overwrite);
}
