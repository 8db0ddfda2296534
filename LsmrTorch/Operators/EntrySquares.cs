using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Sums of the squares of a matrix's entries by rows and by columns, in one read, for matrices on the CPU: dense with
/// contiguous rows, or in compressed rows. Sums are made in float64, threads take shares of the rows, and the sums of the
/// shares are added in their order.
/// </summary>
internal static unsafe class EntrySquares
{
    private const long WorkOfThread = 1 << 18;      // entries below which another thread costs more than it brings

    /// <summary>Whether a dense matrix lies as the loop reads it.</summary>
    public static bool Takes(Tensor matrix) =>
        matrix.device_type == DeviceType.CPU && matrix.numel() > 0 && (matrix.shape[1] == 1 || matrix.stride(1) == 1)
        && (matrix.shape[0] == 1 || matrix.stride(0) >= matrix.shape[1]);

    /// <summary>The norms of a dense matrix that <see cref="Takes"/> accepts; wrong where a square leaves the range of float64.</summary>
    public static EntryNorms Norms(Tensor matrix) => matrix.dtype == ScalarType.Float64
        ? Norms<double>(matrix)
        : Norms<float>(matrix);

    private static EntryNorms Norms<T>(Tensor matrix) where T : unmanaged
    {
        (long m, long n) = (matrix.shape[0], matrix.shape[1]);
        long stride = m == 1 ? n : matrix.stride(0);
        nint from = Memory.Address(matrix);
        EntryNorms norms = Sum(m, n, m * n, (first, end, rows, columns) => {
            long i = first;
            for (; i + 4 <= end; i += 4)
                FourRows((T*)from + i * stride, stride, n, rows + i, columns);
            for (; i < end; i++)
                rows[i] = Row((T*)from + i * stride, n, columns);
        });
        GC.KeepAlive(matrix);
        return norms;
    }

    /// <summary>The norms of a matrix in compressed rows, each entry counted apart.</summary>
    /// <param name="A">The matrix.</param>
    /// <param name="areApart">Whether the columns of each row rise, so that no two entries have one place.</param>
    public static EntryNorms Norms(in CsrArrays A, out bool areApart)
    {
        CsrArrays arrays = A;
        bool isNarrow = A.ColumnOf.dtype == ScalarType.Int32;
        (EntryNorms norms, areApart) = A.Values.dtype == ScalarType.Float64
            ? isNarrow ? Norms<double, int>(arrays) : Norms<double, long>(arrays)
            : isNarrow ? Norms<float, int>(arrays) : Norms<float, long>(arrays);
        A.KeepAlive();
        return norms;
    }

    private static (EntryNorms, bool) Norms<T, I>(CsrArrays A) where T : unmanaged where I : unmanaged
    {
        var entries = new CsrEntries<T, I>(A);
        int disordered = 0;
        EntryNorms norms = Sum(A.Rows, A.Columns, A.Values.numel(), (first, end, rows, columns) => {
            for (long i = first; i < end; i++) {
                double sum = 0;
                nint before = -1;
                for (long k = entries.Starts[i]; k < entries.Starts[i + 1]; k++) {
                    nint column = entries.Column(k);
                    if (column <= before)
                        Volatile.Write(ref disordered, 1);
                    before = column;
                    double value = entries.Value(k), square = value * value;
                    sum += square;
                    columns[column] += square;
                }
                rows[i] = sum;
            }
        });
        return (norms, disordered == 0);
    }

    private delegate void Share(long first, long end, double* rows, double* columns);

    private static EntryNorms Sum(long m, long n, long work, Share share)
    {
        int shares = (int)Math.Clamp(Math.Min(work / WorkOfThread, work / Math.Max(1, n)), 1, get_num_threads());
        Tensor rows = zeros(m, float64), columns = zeros([shares, n], float64);
        nint ofRows = Memory.Address(rows), ofColumns = Memory.Address(columns);
        if (shares == 1)
            share(0, m, (double*)ofRows, (double*)ofColumns);
        else
            Parallel.For(0, shares, t => share(m * t / shares, m * (t + 1) / shares, (double*)ofRows, (double*)ofColumns + t * n));
        Tensor sums = columns.sum(dim: 0);
        columns.Dispose();
        return new(rows.sqrt_(), sums.sqrt_());
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourRows<T>(T* a, long stride, long n, double* rows, double* columns) where T : unmanaged
    {
        T* b = a + stride, c = b + stride, d = c + stride;
        Vector512<double> s0 = default, s1 = default, s2 = default, s3 = default;
        long j = 0;
        for (; j + Vector512<double>.Count <= n; j += Vector512<double>.Count) {
            Vector512<double> x0 = Memory.GetEight(a + j), x1 = Memory.GetEight(b + j), x2 = Memory.GetEight(c + j), x3 = Memory.GetEight(d + j);
            (x0, x1, x2, x3) = (x0 * x0, x1 * x1, x2 * x2, x3 * x3);
            s0 += x0;
            s1 += x1;
            s2 += x2;
            s3 += x3;
            (Vector512.Load(columns + j) + (x0 + x1 + (x2 + x3))).Store(columns + j);
        }
        (rows[0], rows[1], rows[2], rows[3]) = (Vector512.Sum(s0), Vector512.Sum(s1), Vector512.Sum(s2), Vector512.Sum(s3));
        for (; j < n; j++) {
            double x0 = Memory.Get(a + j), x1 = Memory.Get(b + j), x2 = Memory.Get(c + j), x3 = Memory.Get(d + j);
            rows[0] += x0 * x0;
            rows[1] += x1 * x1;
            rows[2] += x2 * x2;
            rows[3] += x3 * x3;
            columns[j] += x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Row<T>(T* row, long n, double* columns) where T : unmanaged
    {
        Vector512<double> sum = default;
        long j = 0;
        for (; j + Vector512<double>.Count <= n; j += Vector512<double>.Count) {
            Vector512<double> entry = Memory.GetEight(row + j), square = entry * entry;
            sum += square;
            (Vector512.Load(columns + j) + square).Store(columns + j);
        }
        double total = Vector512.Sum(sum);
        for (; j < n; j++) {
            double entry = Memory.Get(row + j), square = entry * entry;
            total += square;
            columns[j] += square;
        }
        return total;
    }
}
