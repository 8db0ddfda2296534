using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests;

/// <summary>Shape of a test problem.</summary>
public enum Shape { Tall, Square, Wide }

/// <summary>Random problems with a chosen spectrum, and dense float64 truth.</summary>
internal static class Problems
{
    /// <summary>An m × n matrix with singular values spread geometrically from 1 down to 1/cond; the last third is zero if deficient.</summary>
    public static Tensor Matrix(long m, long n, double cond, long seed, ScalarType dtype = ScalarType.Float64, bool deficient = false)
    {
        using var scope = NewDisposeScope();
        long k = Math.Min(m, n);
        Tensor U = linalg.qr(Random(seed, m, k)).Q, V = linalg.qr(Random(seed + 1, n, k)).Q;
        double[] spectrum = [.. Enumerable.Range(0, (int)k).Select(i =>
            deficient && i >= k - k / 3 ? 0 : Math.Pow(cond, k > 1 ? -(double)i / (k - 1) : 0))];
        Tensor A = U.mul(tensor(spectrum, float64)).mm(V.t());
        return scope.MoveToOuter(A.to(dtype));
    }

    /// <summary>Normal random numbers, float64, from a generator of its own.</summary>
    public static LinearOperator Csr(Tensor M)
    {
        Tensor places = M.nonzero(), counts = M.ne(0).sum(1);
        return LinearOperator.FromCsr(M.masked_select(M.ne(0)), places.select(1, 1), cat([zeros(1, int64), counts.cumsum(0)]), M.shape[1]);
    }

    public static Tensor Random(long seed, params long[] shape)
    {
        using var generator = new Generator((ulong)seed, CPU);
        return randn(shape, float64, generator: generator);
    }

    public static (long M, long N) Size(Shape shape) => shape switch {
        Shape.Tall => (14, 6),
        Shape.Square => (9, 9),
        _ => (6, 14),
    };

    /// <summary>x = x0 + argmin ‖A d − (b − A x0)‖² + λ²‖d‖² by a dense pseudo-inverse in float64.</summary>
    public static Tensor Solve(Tensor A, Tensor b, double damp, Tensor? x0)
    {
        using var scope = NewDisposeScope();
        Tensor A64 = A.detach().to(float64), r = b.detach().to(float64);
        Tensor start = x0 is null ? zeros(A.shape[1], float64) : x0.detach().to(float64);
        r = r - A64.mv(start);
        Tensor stacked = cat([A64, eye(A.shape[1], dtype: float64) * damp]);
        Tensor rhs = cat([r, zeros(A.shape[1], float64)]);
        Tensor d = damp > 0 ? linalg.pinv(stacked).mv(rhs) : linalg.pinv(A64, 1e-5).mv(r);
        return scope.MoveToOuter(start + d);
    }

    public static double[] Values(Tensor x)
    {
        using Tensor flat = x.detach().to(float64).cpu().contiguous();
        return flat.numel() == 0 ? [] : flat.data<double>().ToArray(); // the accessor throws where there is nothing
    }
}

/// <summary>Comparisons that fail on NaN and say where and by how much.</summary>
internal static class Check
{
    /// <summary>‖found − expected‖ ≤ tolerance · max(‖expected‖, floor).</summary>
    public static void Close(Tensor found, Tensor expected, double tolerance, string what, double floor = 0)
    {
        Assert.That(found.shape, Is.EqualTo(expected.shape), $"shape of {what}");
        double[] a = Problems.Values(found), e = Problems.Values(expected);
        double error = Math.Sqrt(a.Zip(e, (x, y) => (x - y) * (x - y)).Sum());
        double size = Math.Max(Math.Sqrt(e.Sum(y => y * y)), floor);
        if (error <= tolerance * size)
            return;
        int worst = Enumerable.Range(0, a.Length).MaxBy(i => double.IsNaN(a[i]) ? double.PositiveInfinity : Math.Abs(a[i] - e[i]));
        Assert.Fail($"{what}: relative error {error / size:E2} over {tolerance:E2}; worst at {worst}: {a[worst]:R} for {e[worst]:R}");
    }

    /// <summary>Fails unless <paramref name="action"/> leaves as many live tensors as it found, apart from those it is said to return.</summary>
    public static void LeavesNoTensors(Action action, int returned = 0)
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        action();
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount - before, Is.EqualTo(returned), "live tensors more than before");
    }
}
