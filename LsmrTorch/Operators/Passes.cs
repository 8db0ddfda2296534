using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The vector operations of an iteration on the CPU, each as one pass over contiguous vectors, with the norm of what it writes. Nothing
/// is allocated.
/// </summary>
/// <remarks>
/// Long vectors are shared out in pieces of a fixed length, whose sums are added in their order: the same bits whatever the threads.
/// Squares are added in float64.
/// </remarks>
internal static unsafe class Passes
{
    private const long Piece = 1 << 15;
    private const int MostPieces = 512;

    /// <summary>Whether the passes take vectors like this one: they read and write memory as it lies.</summary>
    public static bool Take(Tensor x) =>
        x.device_type == DeviceType.CPU && x.dtype is ScalarType.Float64 or ScalarType.Float32
        && !Memory.IsNegative(x) && x.is_contiguous();

    /// <summary>‖y‖², which may have left the range.</summary>
    public static double Squares(Tensor y)
    {
        var job = new Job { Y = Memory.Address(y) };
        double squares = Run(job, y, &Square<double>, &Square<float>);
        GC.KeepAlive(y);
        return squares;
    }

    /// <summary>y ← a y + b x; returns ‖y‖².</summary>
    public static double ScaleAdd(Tensor y, double a, double b, Tensor x)
    {
        var job = new Job { Y = Memory.Address(y), X = Memory.Address(x), A = a, B = b };
        double squares = Run(job, y, &ScaleAdd<double>, &ScaleAdd<float>);
        GC.KeepAlive(y);
        GC.KeepAlive(x);
        return squares;
    }

    /// <summary>y ← a y.</summary>
    public static void Scale(Tensor y, double a)
    {
        var job = new Job { Y = Memory.Address(y), A = a };
        Run(job, y, &Scale<double>, &Scale<float>);
        GC.KeepAlive(y);
    }

    /// <summary>h̄ ← a h̄ + h, x ← x + b h̄, h ← c h + v (LSMR); returns ‖x‖².</summary>
    public static double Advance(Tensor hBar, double a, Tensor x, double b, Tensor h, double c, Tensor v)
    {
        var job = new Job { Y = Memory.Address(hBar), X = Memory.Address(x), Z = Memory.Address(h), W = Memory.Address(v), A = a, B = b, C = c };
        double squares = Run(job, x, &Advance<double>, &Advance<float>);
        GC.KeepAlive(hBar);
        GC.KeepAlive(x);
        GC.KeepAlive(h);
        GC.KeepAlive(v);
        return squares;
    }

    /// <summary>D ← a D + b v + c q (CRAIGMR).</summary>
    public static void Combine(Tensor D, double a, double b, Tensor v, double c, Tensor q)
    {
        var job = new Job { Y = Memory.Address(D), X = Memory.Address(v), Z = Memory.Address(q), A = a, B = b, C = c };
        Run(job, D, &Combine<double>, &Combine<float>);
        GC.KeepAlive(D);
        GC.KeepAlive(v);
        GC.KeepAlive(q);
    }

    /// <summary>D ← D / a, x ← x + b D (CRAIGMR).</summary>
    public static void Move(Tensor D, double a, Tensor x, double b)
    {
        var job = new Job { Y = Memory.Address(D), X = Memory.Address(x), A = a, B = b };
        Run(job, D, &Move<double>, &Move<float>);
        GC.KeepAlive(D);
        GC.KeepAlive(x);
    }

    /// <summary>f ← (e − a f) / b, y ← y + c f, e ← (u − d e) / g (CRAIGMR).</summary>
    public static void Advance(Tensor f, double a, double b, Tensor y, double c, Tensor e, double d, double g, Tensor u)
    {
        var job = new Job { Y = Memory.Address(f), X = Memory.Address(y), Z = Memory.Address(e), W = Memory.Address(u), A = a, B = b, C = c, D = d, E = g };
        Run(job, y, &AdvanceMultiplier<double>, &AdvanceMultiplier<float>);
        GC.KeepAlive(f);
        GC.KeepAlive(y);
        GC.KeepAlive(e);
        GC.KeepAlive(u);
    }

    /// <summary>y ← x.</summary>
    public static void Copy(Tensor y, Tensor x)
    {
        long size = y.numel() * y.ElementSize;
        Buffer.MemoryCopy((void*)Memory.Address(x), (void*)Memory.Address(y), size, size);
        GC.KeepAlive(y);
        GC.KeepAlive(x);
    }

    /// <summary>y ← 0.</summary>
    public static void Clear(Tensor y)
    {
        NativeMemory.Clear((void*)Memory.Address(y), (nuint)(y.numel() * y.ElementSize));
        GC.KeepAlive(y);
    }

    private struct Job
    {
        public nint Y, X, Z, W;
        public double A, B, C, D, E;
        public long Count, Length;              // of the vectors, and of a piece
        public double* Sums;                 // of squares, of each piece
    }

    private static double Run(Job job, Tensor like, delegate*<void*, int, void> ofDoubles, delegate*<void*, int, void> ofFloats)
    {
        job.Count = like.numel();
        job.Length = Math.Max(Piece, (job.Count + MostPieces - 1) / MostPieces);
        int pieces = (int)((job.Count + job.Length - 1) / job.Length);
        double* squares = stackalloc double[MostPieces];
        job.Sums = squares;
        Workers.Run(like.dtype == ScalarType.Float64 ? ofDoubles : ofFloats, &job, pieces, pieces == 1 ? 1 : get_num_threads());
        double sum = 0;
        for (int i = 0; i < pieces; i++)
            sum += squares[i];
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Square<T>(void* context, int piece) where T : unmanaged, INumber<T>
    {
        ref Job job = ref *(Job*)context;
        T* y = (T*)job.Y;
        var sum = new SumOfSquares();
        long i = piece * job.Length, end = Math.Min(job.Count, i + job.Length);
        for (; i + Vector512<T>.Count <= end; i += Vector512<T>.Count)
            sum.Add(Vector512.Load(y + i));
        for (; i < end; i++)
            sum.Add(y[i]);
        job.Sums[piece] = sum.Total;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScaleAdd<T>(void* context, int piece) where T : unmanaged, INumber<T>
    {
        ref Job job = ref *(Job*)context;
        T* y = (T*)job.Y, x = (T*)job.X;
        T a = T.CreateTruncating(job.A), b = T.CreateTruncating(job.B);
        Vector512<T> As = Vector512.Create(a), Bs = Vector512.Create(b);
        var sum = new SumOfSquares();
        long i = piece * job.Length, end = Math.Min(job.Count, i + job.Length);
        for (; i + Vector512<T>.Count <= end; i += Vector512<T>.Count) {
            Vector512<T> next = Arithmetic.MultiplyAdd(As, Vector512.Load(y + i), Bs * Vector512.Load(x + i));
            next.Store(y + i);
            sum.Add(next);
        }
        for (; i < end; i++) {
            y[i] = a * y[i] + b * x[i];
            sum.Add(y[i]);
        }
        job.Sums[piece] = sum.Total;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale<T>(void* context, int piece) where T : unmanaged, INumber<T>
    {
        ref Job job = ref *(Job*)context;
        T* y = (T*)job.Y;
        T a = T.CreateTruncating(job.A);
        Vector512<T> As = Vector512.Create(a);
        long i = piece * job.Length, end = Math.Min(job.Count, i + job.Length);
        for (; i + Vector512<T>.Count <= end; i += Vector512<T>.Count)
            (Vector512.Load(y + i) * As).Store(y + i);
        for (; i < end; i++)
            y[i] *= a;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Advance<T>(void* context, int piece) where T : unmanaged, INumber<T>
    {
        ref Job job = ref *(Job*)context;
        T* hBar = (T*)job.Y, x = (T*)job.X, h = (T*)job.Z, v = (T*)job.W;
        T a = T.CreateTruncating(job.A), b = T.CreateTruncating(job.B), c = T.CreateTruncating(job.C);
        Vector512<T> As = Vector512.Create(a), Bs = Vector512.Create(b), Cs = Vector512.Create(c);
        var sum = new SumOfSquares();
        long i = piece * job.Length, end = Math.Min(job.Count, i + job.Length);
        for (; i + Vector512<T>.Count <= end; i += Vector512<T>.Count) {
            Vector512<T> direction = Vector512.Load(h + i);
            Vector512<T> next = Arithmetic.MultiplyAdd(As, Vector512.Load(hBar + i), direction);
            Vector512<T> solution = Arithmetic.MultiplyAdd(Bs, next, Vector512.Load(x + i));
            next.Store(hBar + i);
            solution.Store(x + i);
            Arithmetic.MultiplyAdd(Cs, direction, Vector512.Load(v + i)).Store(h + i);
            sum.Add(solution);
        }
        for (; i < end; i++) {
            hBar[i] = a * hBar[i] + h[i];
            x[i] += b * hBar[i];
            h[i] = c * h[i] + v[i];
            sum.Add(x[i]);
        }
        job.Sums[piece] = sum.Total;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Combine<T>(void* context, int piece) where T : unmanaged, INumber<T>
    {
        ref Job job = ref *(Job*)context;
        T* D = (T*)job.Y, v = (T*)job.X, q = (T*)job.Z;
        T a = T.CreateTruncating(job.A), b = T.CreateTruncating(job.B), c = T.CreateTruncating(job.C);
        Vector512<T> As = Vector512.Create(a), Bs = Vector512.Create(b), Cs = Vector512.Create(c);
        long i = piece * job.Length, end = Math.Min(job.Count, i + job.Length);
        for (; i + Vector512<T>.Count <= end; i += Vector512<T>.Count) {
            Vector512<T> both = Arithmetic.MultiplyAdd(Bs, Vector512.Load(v + i), Cs * Vector512.Load(q + i));
            Arithmetic.MultiplyAdd(As, Vector512.Load(D + i), both).Store(D + i);
        }
        for (; i < end; i++)
            D[i] = a * D[i] + (b * v[i] + c * q[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Move<T>(void* context, int piece) where T : unmanaged, INumber<T>
    {
        ref Job job = ref *(Job*)context;
        T* D = (T*)job.Y, x = (T*)job.X;
        T a = T.CreateTruncating(job.A), b = T.CreateTruncating(job.B);
        Vector512<T> As = Vector512.Create(a), Bs = Vector512.Create(b);
        long i = piece * job.Length, end = Math.Min(job.Count, i + job.Length);
        for (; i + Vector512<T>.Count <= end; i += Vector512<T>.Count) {
            Vector512<T> direction = Vector512.Load(D + i) / As;
            direction.Store(D + i);
            Arithmetic.MultiplyAdd(Bs, direction, Vector512.Load(x + i)).Store(x + i);
        }
        for (; i < end; i++) {
            D[i] /= a;
            x[i] += b * D[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AdvanceMultiplier<T>(void* context, int piece) where T : unmanaged, INumber<T>
    {
        ref Job job = ref *(Job*)context;
        T* f = (T*)job.Y, y = (T*)job.X, e = (T*)job.Z, u = (T*)job.W;
        T a = T.CreateTruncating(job.A), b = T.CreateTruncating(job.B), c = T.CreateTruncating(job.C), d = T.CreateTruncating(job.D), g = T.CreateTruncating(job.E);
        Vector512<T> As = Vector512.Create(-a), Bs = Vector512.Create(b), Cs = Vector512.Create(c), Ds = Vector512.Create(-d), Gs = Vector512.Create(g);
        long i = piece * job.Length, end = Math.Min(job.Count, i + job.Length);
        for (; i + Vector512<T>.Count <= end; i += Vector512<T>.Count) {
            Vector512<T> column = Vector512.Load(e + i);
            Vector512<T> direction = Arithmetic.MultiplyAdd(As, Vector512.Load(f + i), column) / Bs;
            direction.Store(f + i);
            Arithmetic.MultiplyAdd(Cs, direction, Vector512.Load(y + i)).Store(y + i);
            (Arithmetic.MultiplyAdd(Ds, column, Vector512.Load(u + i)) / Gs).Store(e + i);
        }
        for (; i < end; i++) {
            f[i] = (e[i] - a * f[i]) / b;
            y[i] += c * f[i];
            e[i] = (u[i] - d * e[i]) / g;
        }
    }

    private struct SumOfSquares
    {
        private Vector512<double> low, high;
        private double rest;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Add<T>(Vector512<T> x)
        {
            if (typeof(T) == typeof(double)) {
                low = Vector512.MultiplyAddEstimate(x.AsDouble(), x.AsDouble(), low);
            } else {
                (Vector512<double> first, Vector512<double> second) = Vector512.Widen(x.AsSingle());
                low = Vector512.MultiplyAddEstimate(first, first, low);
                high = Vector512.MultiplyAddEstimate(second, second, high);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Add<T>(T x) where T : INumber<T>
        {
            double value = double.CreateTruncating(x);
            rest += value * value;
        }

        public readonly double Total => Vector512.Sum(low) + Vector512.Sum(high) + rest;
    }
}
