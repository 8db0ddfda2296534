using System.Buffers;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace LsmrTorch;

/// <summary>
/// Both products of a bidiagonalisation step with a row-major matrix on the CPU, reading it once: four rows at a time give four entries
/// of u = A v − α u, and go, while they are in the cache, into Aᵀu. The scale of u is not needed for that, as ‖u‖ is one number
/// for all of Aᵀu.
/// </summary>
/// <remarks>
/// Threads take contiguous shares of the rows, and their sums are added in that order: the same bits on every run with the same number
/// of threads. Sums over rows are made by blocks, so that float32 keeps its digits.
/// </remarks>
internal static unsafe class FusedDense
{
    private const long Block = 64;                  // rows summed before they are added to the others; a multiple of 4
    private const long WorkOfThread = 1 << 16;      // entries below which another thread costs more than it brings
    private const long WidestRow = 1 << 15;         // four longer rows would leave the cache before they are read again

    /// <summary>Whether <see cref="Step"/> takes the matrix.</summary>
    public static bool Fits(Tensor matrix) =>
        matrix.device_type == DeviceType.CPU && matrix.numel() > 0 && matrix.shape[1] <= WidestRow && matrix.is_contiguous();

    /// <summary>u ← A v − α u and image ← Aᵀu; returns ‖u‖. All are contiguous and of one dtype.</summary>
    public static double Step(Tensor matrix, Tensor v, Tensor u, double alpha, Tensor image) =>
        matrix.dtype == ScalarType.Float64
            ? Step<double>(matrix, v, u, alpha, image)
            : Step<float>(matrix, v, u, (float)alpha, image);

    private static double Step<T>(Tensor matrix, Tensor v, Tensor u, T alpha, Tensor image) where T : unmanaged, INumber<T>
    {
        (long m, long n) = (matrix.shape[0], matrix.shape[1]);
        int threads = (int)Math.Clamp(m * n / WorkOfThread, 1, get_num_threads());
        long share = ((m + threads - 1) / threads + 3) / 4 * 4;
        T[][] sums = [.. Enumerable.Range(0, threads).Select(_ => ArrayPool<T>.Shared.Rent((int)(2 * n)))];
        double[] squares = new double[threads];
        nint rows = Memory.Address(matrix), from = Memory.Address(v), to = Memory.Address(u);
        void Share(int t)
        {
            fixed (T* sum = sums[t])
                squares[t] = Rows((T*)rows, n, (T*)from, (T*)to, alpha, t * share, Math.Min(m, (t + 1) * share), sum, sum + n);
        }
        if (threads == 1)
            Share(0);
        else
            Parallel.For(0, threads, Share);

        var total = new Span<T>((T*)Memory.Address(image), (int)n);
        sums[0].AsSpan(0, (int)n).CopyTo(total);
        for (int t = 1; t < threads; t++)
            TensorPrimitives.Add(total, sums[t].AsSpan(0, (int)n), total);
        foreach (T[] sum in sums)
            ArrayPool<T>.Shared.Return(sum);
        GC.KeepAlive(matrix);
        GC.KeepAlive(v);
        GC.KeepAlive(image);
        double square = squares.Sum();
        return square is > 1e-250 and < 1e250 ? Math.Sqrt(square) : Vectors.Norm(u);
    }

    // Rows first to end: u, their share of A'u in total, and the sum of u's squares. part is scratch.
    private static double Rows<T>(T* A, long n, T* v, T* u, T alpha, long first, long end, T* total, T* part) where T : unmanaged, INumber<T>
    {
        double squares = 0;
        new Span<T>(total, (int)n).Clear();
        for (long block = first; block < end; block += Block) {
            new Span<T>(part, (int)n).Clear();
            long last = Math.Min(end, block + Block);
            long i = block;
            for (; i + 4 <= last; i += 4)
                squares += FourRows(A + i * n, n, v, u + i, alpha, part);
            for (; i < last; i++)
                squares += OneRow(A + i * n, n, v, u + i, alpha, part);
            TensorPrimitives.Add(new ReadOnlySpan<T>(total, (int)n), new ReadOnlySpan<T>(part, (int)n), new Span<T>(total, (int)n));
        }
        return squares;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]      // at once: a solve of few iterations would end before a slow first version is replaced
    private static double FourRows<T>(T* a, long n, T* v, T* u, T alpha, T* sum) where T : unmanaged, INumber<T>
    {
        T* b = a + n, c = b + n, d = c + n;
        long ahead = 4 * n;             // the next four rows: otherwise the memory rests while these are read again from the cache
        int width = Vector512<T>.Count;
        Vector512<T> s0 = default, s1 = default, s2 = default, s3 = default;
        long j = 0;
        for (; j + width <= n; j += width) {
            Vector512<T> x = Vector512.Load(v + j);
            Prefetch(a + j + ahead);
            Prefetch(b + j + ahead);
            s0 = MultiplyAdd(x, Vector512.Load(a + j), s0);
            s1 = MultiplyAdd(x, Vector512.Load(b + j), s1);
            s2 = MultiplyAdd(x, Vector512.Load(c + j), s2);
            s3 = MultiplyAdd(x, Vector512.Load(d + j), s3);
        }
        T t0 = Vector512.Sum(s0), t1 = Vector512.Sum(s1), t2 = Vector512.Sum(s2), t3 = Vector512.Sum(s3);
        for (; j < n; j++) {
            t0 += v[j] * a[j];
            t1 += v[j] * b[j];
            t2 += v[j] * c[j];
            t3 += v[j] * d[j];
        }
        t0 -= alpha * u[0];
        t1 -= alpha * u[1];
        t2 -= alpha * u[2];
        t3 -= alpha * u[3];
        (u[0], u[1], u[2], u[3]) = (t0, t1, t2, t3);

        Vector512<T> w0 = Vector512.Create(t0), w1 = Vector512.Create(t1), w2 = Vector512.Create(t2), w3 = Vector512.Create(t3);
        for (j = 0; j + width <= n; j += width) {
            Prefetch(c + j + ahead);
            Prefetch(d + j + ahead);
            Vector512<T> more = MultiplyAdd(w1, Vector512.Load(b + j), MultiplyAdd(w0, Vector512.Load(a + j), Vector512.Load(sum + j)));
            more = MultiplyAdd(w3, Vector512.Load(d + j), MultiplyAdd(w2, Vector512.Load(c + j), more));
            more.Store(sum + j);
        }
        for (; j < n; j++)
            sum[j] += t0 * a[j] + t1 * b[j] + (t2 * c[j] + t3 * d[j]);
        return Square(t0) + Square(t1) + (Square(t2) + Square(t3));
    }

    private static void Prefetch<T>(T* line) where T : unmanaged
    {
        if (Sse.IsSupported)
            Sse.Prefetch1(line);
    }

    // x y + z, rounded once where the machine can.
    private static Vector512<T> MultiplyAdd<T>(Vector512<T> x, Vector512<T> y, Vector512<T> z) =>
        typeof(T) == typeof(double)
            ? Vector512.MultiplyAddEstimate(x.AsDouble(), y.AsDouble(), z.AsDouble()).As<double, T>()
            : Vector512.MultiplyAddEstimate(x.AsSingle(), y.AsSingle(), z.AsSingle()).As<float, T>();

    private static double OneRow<T>(T* a, long n, T* v, T* u, T alpha, T* sum) where T : unmanaged, INumber<T>
    {
        T t = TensorPrimitives.Dot(new ReadOnlySpan<T>(a, (int)n), new ReadOnlySpan<T>(v, (int)n)) - alpha * u[0];
        u[0] = t;
        TensorPrimitives.MultiplyAdd(new ReadOnlySpan<T>(a, (int)n), t, new ReadOnlySpan<T>(sum, (int)n), new Span<T>(sum, (int)n));
        return Square(t);
    }

    private static double Square<T>(T x) where T : INumber<T>
    {
        double value = double.CreateTruncating(x);
        return value * value;
    }
}
