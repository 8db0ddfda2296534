using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Where tensors lie, for loops of our own.</summary>
internal static unsafe partial class Memory
{
    private static readonly bool isDirect = IsDirect();

    /// <summary>The first entry of a tensor on the CPU; it stays there as long as the tensor lives.</summary>
    public static nint Address(Tensor x)
    {
        if (isDirect)
            return Data(x.Handle);
        if (x.is_contiguous() && x.numel() * x.ElementSize <= int.MaxValue)
            return Head(x);
        using var scope = NewDisposeScope();
        Tensor first = x;
        for (long dimension = 0; dimension < x.dim(); dimension++)      // of what no span can hold
            first = first.narrow(dimension, 0, 1);
        return Head(first);
    }

    private static nint Head(Tensor x) => (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(x.bytes));

    // What TorchSharp calls itself for x.bytes, without its five other calls: an iteration on a small matrix asks a dozen times.
    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial nint Data(nint tensor);

    private static bool IsDirect()
    {
        using Tensor x = zeros(2, float64, CPU);
        try {
            return Data(x.Handle) == Head(x);
        } catch (Exception missing) when (missing is DllNotFoundException or EntryPointNotFoundException) {
            return false;
        }
    }
}
