using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The vector operations of the recurrences, in place on tensors of any shape. Coefficients are doubles; the Scalar
/// that carries one to libtorch is held for the length of the call, since a collection on another thread would
/// free one that is not.
/// </summary>
internal static class Vectors
{
    /// <summary>x ← x / a.</summary>
    public static void Divide(Tensor x, double a)
    {
        using Scalar divisor = a;
        x.div_(divisor);
    }

    /// <summary>y ← y + a x.</summary>
    public static void AddScaled(Tensor y, double a, Tensor x)
    {
        using Scalar factor = a;
        y.add_(x, factor);
    }

    /// <summary>y ← a y + x.</summary>
    public static void ScaleAdd(Tensor y, double a, Tensor x)
    {
        using Scalar factor = a;
        using Scalar one = 1.0;
        y.mul_(factor);
        y.add_(x, one);
    }

    /// <summary>x ← a x.</summary>
    public static void Scale(Tensor x, double a)
    {
        using Scalar factor = a;
        x.mul_(factor);
    }

    /// <summary>x + y, new; carries gradients.</summary>
    public static Tensor Sum(Tensor x, Tensor y)
    {
        using Scalar one = 1.0;
        return x.add(y, one);
    }

    /// <summary>A contiguous copy of x, which may be any view.</summary>
    public static Tensor Copy(Tensor x)
    {
        using Tensor dense = x.contiguous();
        return dense.clone();
    }

    /// <summary>Fills x with one value.</summary>
    public static void Fill(Tensor x, double value)
    {
        using Scalar scalar = value;
        x.fill_(scalar);
    }

    /// <summary>The Euclidean norm over all entries, free of underflow and overflow; NaN or infinity if an entry is.</summary>
    public static double Norm(Tensor x)
    {
        using Tensor norm = x.norm();
        double value = Read(norm);
        bool squaresFit = value > 1e3 * SmallestRoot(x.dtype) && double.IsFinite(value);
        return squaresFit || x.numel() == 0 ? value : ScaledNorm(x);
    }

    /// <summary>The value of a 0-dim tensor (one transfer when it lies on a GPU).</summary>
    public static double Read(Tensor x)
    {
        using Scalar scalar = x.ToScalar();
        return scalar.ToDouble();
    }

    /// <summary>⟨x, y⟩ over all entries.</summary>
    public static double Dot(Tensor x, Tensor y)
    {
        using Tensor products = x.mul(y);
        using Tensor sum = products.sum();
        return Read(sum);
    }

    /// <summary>One vector with the entries of all tensors, in their order, row-major. Carries gradients.</summary>
    public static Tensor Flatten(IEnumerable<Tensor> tensors)
    {
        using var scope = NewDisposeScope();
        Tensor[] flat = [.. tensors.Select(t => t.reshape(-1))];
        return scope.MoveToOuter(flat.Length == 1 ? flat[0].alias() : cat(flat));
    }

    /// <summary>The inverse of <see cref="Flatten"/>: views of <paramref name="vector"/> with the given shapes.</summary>
    public static Tensor[] Split(Tensor vector, IReadOnlyList<long[]> shapes)
    {
        var parts = new Tensor[shapes.Count];
        long offset = 0;
        for (int i = 0; i < parts.Length; i++) {
            long length = Count(shapes[i]);
            using Tensor part = vector.narrow(0, offset, length);
            parts[i] = part.view(shapes[i]);
            offset += length;
        }
        return parts;
    }

    /// <summary>A tensor of ±size, each sign with probability 1/2; the same for the same generator's state on every device.</summary>
    public static Tensor RandomSigns(long[] shape, double size, ScalarType dtype, Device device, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor signs = randint(2, shape, dtype, CPU, generator: generator);
        using Scalar shift = -size;
        Scale(signs, 2 * size);
        signs.add_(shift);
        return scope.MoveToOuter(signs.to(device));
    }

    /// <summary>The number of entries of a tensor of this shape.</summary>
    public static long Count(IReadOnlyList<long> shape) => shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>The unit round-off's double: the distance from 1 to the next number of the dtype.</summary>
    public static double Epsilon(ScalarType dtype) => dtype == ScalarType.Float32 ? 1.1920928955078125e-7 : 2.220446049250313e-16;

    /// <summary>A norm near the root of the smallest normal number has lost digits to the underflow of the squares.</summary>
    public static double SmallestRoot(ScalarType dtype) => dtype == ScalarType.Float32 ? 1.1e-19 : 1.5e-154;

    private static double ScaledNorm(Tensor x)
    {
        using Tensor magnitudes = x.abs();
        using Tensor largest = magnitudes.max();
        double scale = Read(largest);
        if (scale == 0 || !double.IsFinite(scale))
            return scale;
        using Tensor scaled = x.clone();
        Divide(scaled, scale);
        using Tensor norm = scaled.norm();
        return scale * Read(norm);
    }
}
