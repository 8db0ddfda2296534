using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Where tensors lie, for loops of our own, and the numbers there, float32 or float64, as float64.</summary>
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

    /// <summary>Throws unless x is what a loop that looks at no bounds may run over; it may be what a user's operator returned.</summary>
    /// <exception cref="ArgumentException">
    /// x has another number of entries, or another dtype, or is not on the CPU, or has the negative bit.
    /// </exception>
    public static void RequireVector(Tensor x, long length, ScalarType dtype)
    {
        if (IsNegative(x))
            throw new ArgumentException("A vector here must lie in memory as it is, but one has the negative bit.");
        if (x.numel() != length || x.dtype != dtype || x.device_type != DeviceType.CPU)
            throw new ArgumentException($"A vector here must have {length} numbers, {dtype} on the CPU, but one has {x.numel()}, {x.dtype} on {x.device}.");
    }

    /// <summary>
    /// Whether x has libtorch's negative bit (as <c>z.conj().imag</c> has): its numbers are then the negatives of
    /// those in memory.
    /// </summary>
    public static bool IsNegative(Tensor x)
    {
        bool isNegative = isDirect ? HasNegativeBit(x.Handle) != 0 : x.is_neg();
        GC.KeepAlive(x);
        return isNegative;
    }

    /// <summary>
    /// x, or its copy, in the current dispose scope, where the numbers in memory are not its own in row-major order.
    /// </summary>
    public static Tensor Plain(Tensor x)
    {
        if (!IsNegative(x))
            return x.contiguous();
        using Tensor resolved = x.resolve_neg();
        return resolved.contiguous();
    }

    // Reads one bit, so that it needs no transition of the garbage collector.
    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_is_neg"), SuppressGCTransition]
    private static partial byte HasNegativeBit(nint tensor);

    private static nint Head(Tensor x) => (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(x.bytes));

    // What TorchSharp calls itself for x.bytes, without its five other calls, and as short: an iteration on a small
    // matrix asks a dozen times.
    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data"), SuppressGCTransition]
    private static partial nint Data(nint tensor);

    /// <summary>
    /// Asks Linux for large pages under a new contiguous tensor that nothing was written to: hundreds of megabytes that are written and read
    /// here and there otherwise wait for page tables. It is advice; where it is not taken, nothing changes.
    /// </summary>
    public static void PreferLargePages(Tensor x)
    {
        const nint Page = 1 << 21;
        nint start = (Address(x) + Page - 1) / Page * Page, end = (Address(x) + (nint)(x.numel() * x.ElementSize)) / Page * Page;
        if (OperatingSystem.IsLinux() && end > start)
            _ = Advise(start, end - start, 14);         // MADV_HUGEPAGE
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint start, nint length, int advice);

    private static bool IsDirect()
    {
        using Tensor x = zeros(2, float64, CPU);
        try {
            return Data(x.Handle) == Head(x) && HasNegativeBit(x.Handle) == 0;
        } catch (Exception missing) when (missing is DllNotFoundException or EntryPointNotFoundException) {
            return false;
        }
    }

    /// <summary>A hash of a contiguous tensor's numbers and their order.</summary>
    public static ulong Hash(Tensor x)
    {
        const ulong Factor = 0x9E37_79B9_7F4A_7C15;
        byte* start = (byte*)Address(x);
        long size = x.numel() * x.ElementSize;
        ulong hash = Factor;
        long i = 0;
        for (; i + sizeof(ulong) <= size; i += sizeof(ulong))
            hash = BitOperations.RotateLeft((hash ^ *(ulong*)(start + i)) * Factor, 29);
        for (; i < size; i++)
            hash = BitOperations.RotateLeft((hash ^ start[i]) * Factor, 29);
        GC.KeepAlive(x);
        return hash;
    }

    /// <summary>The number at x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Get<T>(T* x) where T : unmanaged => typeof(T) == typeof(double) ? *(double*)x : Widened(*(float*)x);

    /// <summary>Writes a number to x; returns what is there then, which is rounded to T.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Put<T>(T* x, double value) where T : unmanaged
    {
        if (typeof(T) == typeof(double))
            return *(double*)x = value;
        float rounded = (float)value;
        *(float*)x = rounded;
        return Widened(rounded);
    }

    /// <summary>Eight numbers from x on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> GetEight<T>(T* x) where T : unmanaged => typeof(T) == typeof(double)
        ? Vector512.Load((double*)x)
        : Vector512.WidenLower(Vector256.Load((float*)x).ToVector512Unsafe());

    /// <summary>Writes eight numbers from x on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PutEight<T>(T* x, Vector512<double> value) where T : unmanaged
    {
        if (typeof(T) == typeof(double))
            value.Store((double*)x);
        else
            Vector512.Narrow(value, value).GetLower().Store((float*)x);
    }

    // The instruction for one number would wait for what its register held before, which makes a sparse step take twice as long.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double Widened(float x) => Vector128.WidenLower(Vector128.CreateScalar(x)).ToScalar();
}
