using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// libtorch warns once a process, on standard error, when <c>backward</c> is called with <c>create_graph</c>: of a
/// cycle of a tensor and its <c>.grad</c>, which <see cref="Backprop"/> never leaves. The warning is spent by a pass of
/// two numbers while libtorch's log level is that of errors. On Linux, where the level is found; elsewhere the line
/// stays.
/// </summary>
internal static partial class CreateGraphWarning
{
    private const int OfErrors = 2;

    private static readonly Lazy<bool> spent = new(Spend);

    /// <summary>The warning is not written after this, where that can be had.</summary>
    public static void Silence() => _ = spent.Value;

    private static unsafe bool Spend()
    {
        if (!OperatingSystem.IsLinux() || LogLevel() is not (not 0 and var place))
            return false;
        int* level = (int*)place;
        int before = *level;
        if (before is < 0 or >= OfErrors)       // nothing is written below the level; or it is none
            return false;
        using var scope = NewDisposeScope();
        using var guard = enable_grad();
        Tensor x = ones(1, float64, CPU, requires_grad: true), y = x.mul(x), one = ones(1, float64, CPU);
        try {
            *level = OfErrors;
            autograd.backward([y], [one], true, true, [x]);
        } catch (ExternalException) {
            return false;
        } finally {
            *level = before;
            x.grad = null;      // the cycle
        }
        return true;
    }

    // Only in the libc10 that is loaded: another one would be another libtorch.
    private static nint LogLevel()
    {
        const int LoadedOnly = 4, Lazily = 1;
        try {
            nint library = Open("libc10.so", Lazily | LoadedOnly);
            if (library == 0)
                return 0;
            bool isThere = NativeLibrary.TryGetExport(library, "FLAGS_caffe2_log_level", out nint place);
            return isThere ? place : 0;
        } catch (Exception missing) when (missing is DllNotFoundException or EntryPointNotFoundException) {
            return 0;
        }
    }

    [LibraryImport("libc", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint Open(string name, int flags);
}
