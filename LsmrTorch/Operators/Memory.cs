using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Where tensors lie, for loops of our own.</summary>
internal static unsafe class Memory
{
    /// <summary>The first entry of a contiguous tensor on the CPU; it stays there as long as the tensor lives.</summary>
    public static nint Address(Tensor x)
    {
        using Tensor head = x.dim() == 2 ? x.narrow(0, 0, 1) : x.alias();       // a row suffices of one over what a span can hold
        return (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(head.bytes));
    }
}
