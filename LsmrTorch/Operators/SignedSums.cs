using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Sums of a row-major matrix's rows with factors, on the CPU. Threads take blocks of columns, narrow enough that the sums of
/// a block stay in the cache while all rows go by; no two threads write to the same place, and the order of the sums is fixed.
/// </summary>
internal static unsafe class SignedSums
{
    private const long Block = 128;     // columns

    /// <summary>sums[t] = the sum of factors[k, i] · matrix[i] over all k and i with targets[k, i] = t; contiguous tensors, of one dtype but for the int64 targets.</summary>
    public static void Write(Tensor matrix, Tensor targets, Tensor factors, Tensor sums)
    {
        using Tensor places = targets.contiguous(), weights = factors.contiguous();
        if (matrix.dtype == ScalarType.Float64)
            Write<double>(matrix, places, weights, sums);
        else
            Write<float>(matrix, places, weights, sums);
    }

    private static void Write<T>(Tensor matrix, Tensor targets, Tensor factors, Tensor sums) where T : unmanaged, INumber<T>
    {
        (long m, long n, long count) = (matrix.shape[0], matrix.shape[1], targets.shape[0]);
        nint from = Memory.Address(matrix), index = Memory.Address(targets), factor = Memory.Address(factors), to = Memory.Address(sums);
        long height = sums.shape[0];
        int threads = Math.Max(1, get_num_threads());
        Parallel.For(0, (int)((n + Block - 1) / Block), new ParallelOptions { MaxDegreeOfParallelism = threads }, block => {
            T* A = (T*)from, S = (T*)to, weights = (T*)factor;
            long* places = (long*)index;
            long first = block * Block, width = Math.Min(Block, n - first);
            for (long t = 0; t < height; t++)
                new Span<T>(S + t * n + first, (int)width).Clear();
            for (long i = 0; i < m; i++) {
                for (long k = 0; k < count; k++)
                    AddScaled(S + places[k * m + i] * n + first, weights[k * m + i], A + i * n + first, width);
            }
        });
        GC.KeepAlive(matrix);
        GC.KeepAlive(sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]      // at once: one call of Write may be all there is
    private static void AddScaled<T>(T* sum, T factor, T* row, long length) where T : unmanaged, INumber<T>
    {
        int width = Vector512<T>.Count;
        Vector512<T> factors = Vector512.Create(factor);
        long j = 0;
        for (; j + width <= length; j += width)
            (Vector512.Load(sum + j) + factors * Vector512.Load(row + j)).Store(sum + j);
        for (; j < length; j++)
            sum[j] += factor * row[j];
    }
}
