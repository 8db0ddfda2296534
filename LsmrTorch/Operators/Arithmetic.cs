using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LsmrTorch;

/// <summary>What the kernels need besides Vector512's own operations.</summary>
internal static class Arithmetic
{
    /// <summary>x y + z, rounded once where the machine can.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> MultiplyAdd<T>(Vector512<T> x, Vector512<T> y, Vector512<T> z) =>
        typeof(T) == typeof(double)
            ? Vector512.MultiplyAddEstimate(x.AsDouble(), y.AsDouble(), z.AsDouble()).As<double, T>()
            : Vector512.MultiplyAddEstimate(x.AsSingle(), y.AsSingle(), z.AsSingle()).As<float, T>();

    /// <summary>x² in float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Square<T>(T x) where T : INumber<T>
    {
        double value = double.CreateTruncating(x);
        return value * value;
    }
}
