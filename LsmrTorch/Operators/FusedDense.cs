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
/// for all of Aᵀu. The matrix's entries may change, its shape may not.
/// </summary>
/// <remarks>
/// Threads take shares of the rows, whose sums are added in the order of the rows; how many shares there are depends on the shape
/// alone, so that the bits are the same whatever the threads. Sums over rows are made by blocks, so that float32 keeps its digits.
/// </remarks>
internal sealed unsafe class FusedDense
{
    private const long Block = 256;                 // rows summed before they are added to the others; a multiple of 4
    private const long WorkOfShare = 1 << 16;       // entries below which another thread costs more than it brings
    private const long MostShares = 32;
    private const long FewestRows = 32;             // of a share: its sums are two rows more
    private const long WidestOfFour = 1 << 15;      // entries of a row, four of which stay in the cache until they are read again
    private const long Widest = 1 << 17;            // the same for a single row

    private readonly Tensor matrix;
    private readonly long m, n, stride, step, share;
    private readonly int shares;
    private nint address;                           // where the layout was seen

    /// <param name="matrix">One that <see cref="Fits"/>.</param>
    /// <param name="transposed">Whether A is its transpose.</param>
    public FusedDense(Tensor matrix, bool transposed)
    {
        this.matrix = matrix;
        IsTransposed = transposed;
        (m, n, stride, step) = Layout(matrix, transposed);
        address = Memory.Address(matrix);
        long most = Math.Clamp(m * n / WorkOfShare, 1, Math.Min(MostShares, Math.Max(1, m / FewestRows)));
        share = ((m + most - 1) / most + 3) / 4 * 4;
        shares = (int)((m + share - 1) / share);
    }

    /// <summary>Whether A is the matrix's transpose.</summary>
    public bool IsTransposed { get; }

    /// <summary>
    /// Throws where the matrix no longer lies as it did, or its numbers are others than those in memory.
    /// </summary>
    /// <exception cref="ArgumentException">So it is.</exception>
    public void RequireLayout()
    {
        if (!Fits(matrix, IsTransposed) || Layout(matrix, IsTransposed) != (m, n, stride, step))
            throw new ArgumentException(
                $"The matrix of an operator must keep its shape and strides while it is used, but they are now "
                    + $"{Text.Shape(matrix.shape)} and {Text.Shape(matrix.stride())}; make the operator anew.");
        address = Memory.Address(matrix);
    }

    /// <summary>Whether there is a step for the matrix, or for its transpose: rows of entries side by side.</summary>
    public static bool Fits(Tensor matrix, bool transposed)
    {
        if (matrix.device_type != DeviceType.CPU || matrix.numel() == 0 || Memory.IsNegative(matrix))
            return false;
        (long m, long n, long stride, long step) = Layout(matrix, transposed);
        return n <= Widest && (n == 1 || step == 1) && (m == 1 || stride >= n);
    }

    // Rows, columns, and from one of each to the next.
    private static (long M, long N, long Stride, long Step) Layout(Tensor matrix, bool transposed)
    {
        (int row, int column) = transposed ? (1, 0) : (0, 1);
        return (matrix.size(row), matrix.size(column), matrix.stride(row), matrix.stride(column));
    }

    /// <summary>u ← A v − α u and image ← Aᵀu; returns ‖u‖. All are contiguous and of one dtype.</summary>
    /// <exception cref="ArgumentException">A vector of another length, dtype or device.</exception>
    public double Step(Tensor v, Tensor u, double alpha, Tensor image)
    {
        if (Memory.Address(matrix) != address)
            RequireLayout();
        Memory.RequireVector(v, n, matrix.dtype);
        Memory.RequireVector(u, m, matrix.dtype);
        Memory.RequireVector(image, n, matrix.dtype);
        double squares = matrix.dtype == ScalarType.Float64
            ? Step<double>(v, u, alpha, image, &Share<double>)
            : Step<float>(v, u, alpha, image, &Share<float>);
        GC.KeepAlive(matrix);
        GC.KeepAlive(v);
        GC.KeepAlive(image);
        return squares is > 1e-250 and < 1e250 ? Math.Sqrt(squares) : Vectors.Norm(u);
    }

    private struct Job
    {
        public nint Matrix, V, U, Sums;
        public double Alpha;
        public long Rows, Columns, Stride, Share;
        public double* Squares;                     // of each share
    }

    private double Step<T>(Tensor v, Tensor u, double alpha, Tensor image, delegate*<void*, int, void> work) where T : unmanaged, INumber<T>
    {
        T[] sums = ArrayPool<T>.Shared.Rent((int)(2 * n * shares));     // of each share, and of its present block
        double* squares = stackalloc double[shares];
        var total = new Span<T>((T*)Memory.Address(image), (int)n);
        fixed (T* first = sums) {
            var job = new Job {
                Matrix = Memory.Address(matrix),
                V = Memory.Address(v),
                U = Memory.Address(u),
                Sums = (nint)first,
                Alpha = alpha,
                Rows = m,
                Columns = n,
                Stride = stride,
                Share = share,
                Squares = squares,
            };
            Workers.Run(work, &job, shares, shares == 1 ? 1 : get_num_threads());
            new Span<T>(first, (int)n).CopyTo(total);
            for (int t = 1; t < shares; t++)
                TensorPrimitives.Add(total, new ReadOnlySpan<T>(first + 2 * n * t, (int)n), total);
        }
        ArrayPool<T>.Shared.Return(sums);
        double sum = 0;
        for (int t = 0; t < shares; t++)
            sum += squares[t];
        return sum;
    }

    // The rows of a share: u, and their part of A'u.
    private static void Share<T>(void* context, int number) where T : unmanaged, INumber<T>
    {
        ref Job job = ref *(Job*)context;
        (long n, long stride) = (job.Columns, job.Stride);
        T* A = (T*)job.Matrix, v = (T*)job.V, u = (T*)job.U, total = (T*)job.Sums + 2 * n * number, part = total + n;
        T alpha = T.CreateTruncating(job.Alpha);
        long begin = number * job.Share, end = Math.Min(job.Rows, begin + job.Share);
        double squares = 0;
        new Span<T>(total, (int)n).Clear();
        for (long block = begin; block < end; block += Block) {
            T* sum = block == begin ? total : part;
            if (sum == part)
                new Span<T>(part, (int)n).Clear();
            long last = Math.Min(end, block + Block), i = block;
            double more = 0;
            for (; n <= WidestOfFour && i + 4 <= last; i += 4)
                more += FourRows(A + i * stride, stride, n, v, u + i, alpha, sum);
            for (; i < last; i++)
                more += OneRow(A + i * stride, n, v, u + i, alpha, sum);
            squares += more;
            if (sum == part)
                TensorPrimitives.Add(new ReadOnlySpan<T>(total, (int)n), new ReadOnlySpan<T>(part, (int)n), new Span<T>(total, (int)n));
        }
        job.Squares[number] = squares;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]      // at once: a solve of few iterations would end before a slow first version is replaced
    private static double FourRows<T>(T* a, long stride, long n, T* v, T* u, T alpha, T* sum) where T : unmanaged, INumber<T>
    {
        T* b = a + stride, c = b + stride, d = c + stride;
        long ahead = 4 * stride;             // the next four rows: otherwise the memory rests while these are read again from the cache
        int width = Vector512<T>.Count;
        Vector512<T> s0 = default, s1 = default, s2 = default, s3 = default;
        long j = 0;
        for (; j + width <= n; j += width) {
            Vector512<T> x = Vector512.Load(v + j);
            Prefetch(a + j + ahead);
            Prefetch(b + j + ahead);
            s0 = Arithmetic.MultiplyAdd(x, Vector512.Load(a + j), s0);
            s1 = Arithmetic.MultiplyAdd(x, Vector512.Load(b + j), s1);
            s2 = Arithmetic.MultiplyAdd(x, Vector512.Load(c + j), s2);
            s3 = Arithmetic.MultiplyAdd(x, Vector512.Load(d + j), s3);
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
            Vector512<T> more = Arithmetic.MultiplyAdd(w1, Vector512.Load(b + j), Arithmetic.MultiplyAdd(w0, Vector512.Load(a + j), Vector512.Load(sum + j)));
            more = Arithmetic.MultiplyAdd(w3, Vector512.Load(d + j), Arithmetic.MultiplyAdd(w2, Vector512.Load(c + j), more));
            more.Store(sum + j);
        }
        for (; j < n; j++)
            sum[j] += t0 * a[j] + t1 * b[j] + (t2 * c[j] + t3 * d[j]);
        return Arithmetic.Square(t0) + Arithmetic.Square(t1) + (Arithmetic.Square(t2) + Arithmetic.Square(t3));
    }

    private static void Prefetch<T>(T* line) where T : unmanaged
    {
        if (Sse.IsSupported)
            Sse.Prefetch1(line);
    }

    private static double OneRow<T>(T* a, long n, T* v, T* u, T alpha, T* sum) where T : unmanaged, INumber<T>
    {
        T t = TensorPrimitives.Dot(new ReadOnlySpan<T>(a, (int)n), new ReadOnlySpan<T>(v, (int)n)) - alpha * u[0];
        u[0] = t;
        TensorPrimitives.MultiplyAdd(new ReadOnlySpan<T>(a, (int)n), t, new ReadOnlySpan<T>(sum, (int)n), new Span<T>(sum, (int)n));
        return Arithmetic.Square(t);
    }
}
