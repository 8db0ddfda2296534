using TorchSharp;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

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
        if (!Fits(a, x.dtype)) {
            double root = Math.Sqrt(Math.Abs(a));
            Divide(x, root);
            Divide(x, double.CopySign(root, a));
            return;
        }
        using Scalar divisor = a;
        x.div_(divisor);
    }

    /// <summary>y ← y + a x.</summary>
    public static void AddScaled(Tensor y, double a, Tensor x)
    {
        if (!Fits(a, y.dtype)) {
            using Tensor product = Product(x, a);
            AddScaled(y, 1, product);
            return;
        }
        using Scalar factor = a;
        y.add_(x, factor);
    }

    /// <summary>
    /// a x, new; carries gradients. The number may be out of the dtype's range, as λ² of a float32 λ can be.
    /// </summary>
    public static Tensor Product(Tensor x, double a)
    {
        if (Fits(a, x.dtype)) {
            using Scalar factor = a;
            return x.mul(factor);
        }
        double root = Math.Sqrt(Math.Abs(a));
        using Scalar first = root, second = double.CopySign(root, a);
        using Tensor half = x.mul(first);
        return half.mul(second);
    }

    /// <summary>
    /// Whether a number, if finite, is in a dtype's range; libtorch refuses to convert one that is not.
    /// </summary>
    public static bool Fits(double a, ScalarType dtype) =>
        Math.Abs(a) <= float.MaxValue || dtype != ScalarType.Float32 || !double.IsFinite(a);

    /// <summary>y ← a y + x.</summary>
    public static void ScaleAdd(Tensor y, double a, Tensor x)
    {
        using Scalar one = 1.0;
        Scale(y, a);
        y.add_(x, one);
    }

    /// <summary>x ← a x.</summary>
    public static void Scale(Tensor x, double a)
    {
        if (!Fits(a, x.dtype)) {
            double root = Math.Sqrt(Math.Abs(a));
            Scale(x, root);
            Scale(x, double.CopySign(root, a));
            return;
        }
        using Scalar factor = a;
        x.mul_(factor);
    }

    /// <summary>x ← x / a, a divisor for each column (the last dimension); a column whose divisor is zero or no number stays.</summary>
    public static void Divide(Tensor x, ReadOnlySpan<double> a)
    {
        if (a.Length == 1) {
            if (!Divides(a[0]))
                return;
            if (Passes.Take(x) && Math.Abs(a[0]) is > 1e-30 and < 1e30)
                Passes.Scale(x, 1 / a[0]);      // divisions of a short vector would take longer than all else
            else
                Divide(x, a[0]);
            return;
        }
        double[] finite = new double[a.Length];
        for (int j = 0; j < a.Length; j++)
            finite[j] = Divides(a[j]) ? a[j] : 1;
        using Tensor divisors = Row(finite, x);
        x.div_(divisors);
    }

    /// <summary>y ← y + a x, a factor for each column.</summary>
    public static void AddScaled(Tensor y, ReadOnlySpan<double> a, Tensor x)
    {
        if (a.Length == 1) {
            AddScaled(y, a[0], x);
            return;
        }
        using Tensor factors = Row(a, y);
        using Scalar one = 1.0;
        y.addcmul_(x, factors, one);
    }

    /// <summary>y ← a y + x, a factor for each column.</summary>
    public static void ScaleAdd(Tensor y, ReadOnlySpan<double> a, Tensor x)
    {
        if (a.Length == 1) {
            ScaleAdd(y, a[0], x);
            return;
        }
        using Scalar one = 1.0;
        Scale(y, a);
        y.add_(x, one);
    }

    /// <summary>y ← a y + x, a factor for each column, and the norms of what comes out.</summary>
    public static void ScaleAdd(Tensor y, ReadOnlySpan<double> a, Tensor x, Span<double> norms)
    {
        if (a.Length == 1 && TakeBoth(y, x)) {
            norms[0] = Root(Passes.ScaleAdd(y, a[0], 1, x), y);
            return;
        }
        ScaleAdd(y, a, x);
        Norms(y, norms);
    }

    /// <summary>h̄ ← a h̄ + h, x ← x + b h̄, h ← c h + v: LSMR's directions and solution, factors for each column, and the norms of x if there is a place for them.</summary>
    public static void Advance(Tensor hBar, ReadOnlySpan<double> a, Tensor x, ReadOnlySpan<double> b, Tensor h, ReadOnlySpan<double> c, Tensor v, Span<double> norms)
    {
        if (a.Length == 1 && norms.Length == 1 && Passes.Take(x)) {
            norms[0] = Root(Passes.Advance(hBar, a[0], x, b[0], h, c[0], v), x);
            return;
        }
        ScaleAdd(hBar, a, h);
        AddScaled(x, b, hBar);
        ScaleAdd(h, c, v);
        if (norms.Length > 0)
            Norms(x, norms);
    }

    /// <summary>D ← a D + b v + c q, factors for each column (CRAIGMR).</summary>
    public static void Combine(Tensor D, ReadOnlySpan<double> a, ReadOnlySpan<double> b, Tensor v, ReadOnlySpan<double> c, Tensor q)
    {
        if (a.Length == 1 && Passes.Take(D)) {
            Passes.Combine(D, a[0], b[0], v, c[0], q);
            return;
        }
        Scale(D, a);
        AddScaled(D, b, v);
        AddScaled(D, c, q);
    }

    /// <summary>D ← D / a, x ← x + b D: CRAIGMR's direction and solution, factors for each column.</summary>
    public static void Move(Tensor D, ReadOnlySpan<double> a, Tensor x, ReadOnlySpan<double> b)
    {
        if (a.Length == 1 && Divides(a[0]) && Passes.Take(x)) {
            Passes.Move(D, a[0], x, b[0]);
            return;
        }
        Divide(D, a);
        AddScaled(x, b, D);
    }

    /// <summary>f ← (e − a f) / b, y ← y + c f, e ← (u − d e) / g: CRAIGMR's directions and multiplier, factors for each column.</summary>
    public static void Advance(Tensor f, ReadOnlySpan<double> a, ReadOnlySpan<double> b, Tensor y, ReadOnlySpan<double> c,
        Tensor e, ReadOnlySpan<double> d, ReadOnlySpan<double> g, Tensor u)
    {
        if (a.Length == 1 && Divides(b[0]) && Divides(g[0]) && Passes.Take(y)) {
            Passes.Advance(f, a[0], b[0], y, c[0], e, d[0], g[0], u);
            return;
        }
        Span<double> minus = new double[a.Length];
        TensorPrimitives.Negate(a, minus);
        ScaleAdd(f, minus, e);
        Divide(f, b);
        AddScaled(y, c, f);
        TensorPrimitives.Negate(d, minus);
        ScaleAdd(e, minus, u);
        Divide(e, g);
    }

    private static bool Divides(double a) => a != 0 && double.IsFinite(a);

    private static bool TakeBoth(Tensor y, Tensor x) => Passes.Take(y) && Passes.Take(x) && x.dtype == y.dtype && x.numel() == y.numel();

    /// <summary>x ← a x, a factor for each column.</summary>
    public static void Scale(Tensor x, ReadOnlySpan<double> a)
    {
        if (a.Length == 1) {
            Scale(x, a[0]);
            return;
        }
        using Tensor factors = Row(a, x);
        x.mul_(factors);
    }

    /// <summary>A tensor of these numbers, of the dtype and on the device of another. A device is not waited for.</summary>
    public static Tensor Row(ReadOnlySpan<double> a, Tensor like)
    {
        using Tensor numbers = tensor(a.ToArray(), float64);
        return numbers.to(like.dtype, like.device, non_blocking: true);     // a copy from pageable memory is staged before this returns
    }

    /// <summary>x + y, new; carries gradients.</summary>
    public static Tensor Sum(Tensor x, Tensor y)
    {
        using Scalar one = 1.0;
        return x.add(y, one);
    }

    /// <summary>x + a y, a factor for each column; new.</summary>
    public static Tensor Sum(Tensor x, ReadOnlySpan<double> a, Tensor y)
    {
        if (a.Length == 1) {
            using Scalar factor = a[0];
            return x.add(y, factor);
        }
        using Tensor factors = Row(a, y);
        using Scalar one = 1.0;
        return x.addcmul(y, factors, one);
    }

    /// <summary>A contiguous copy of x, which may be any view.</summary>
    public static Tensor Copy(Tensor x)
    {
        using Tensor dense = x.contiguous();
        return dense.clone();
    }

    /// <summary>y ← x.</summary>
    public static void Assign(Tensor y, Tensor x)
    {
        if (TakeBoth(y, x))
            Passes.Copy(y, x);
        else
            y.copy_(x);
    }

    /// <summary>x ← 0.</summary>
    public static void Clear(Tensor x)
    {
        if (Passes.Take(x))
            Passes.Clear(x);
        else
            Fill(x, 0);
    }

    /// <summary>Fills x with one value, which is infinite where it is out of the dtype's range.</summary>
    public static void Fill(Tensor x, double value)
    {
        using Scalar scalar = Fits(value, x.dtype) ? value : double.CopySign(double.PositiveInfinity, value);
        x.fill_(scalar);
    }

    /// <summary>The Euclidean norm over all entries, free of underflow and overflow; NaN or infinity if an entry is.</summary>
    public static double Norm(Tensor x)
    {
        if (Passes.Take(x))
            return Root(Passes.Squares(x), x);
        using Tensor norm = x.norm();
        double value = Read(norm);
        return SquaresFit(value, x.dtype) || x.numel() == 0 ? value : ScaledNorm(x);
    }

    /// <summary>The norm of each of the columns (the last dimension), or, for one column, that of the whole.</summary>
    public static double[] Norms(Tensor x, int columns)
    {
        double[] norms = new double[columns];
        Norms(x, norms);
        return norms;
    }

    /// <summary>The same, into an array of the columns' length.</summary>
    public static void Norms(Tensor x, Span<double> norms)
    {
        if (norms.Length == 1) {
            norms[0] = Norm(x);
            return;
        }
        using var scope = NewDisposeScope();
        Tensor flat = x.reshape(-1, norms.Length);
        ReadAll(flat.norm(0, false, 2f)).CopyTo(norms);
        for (int j = 0; j < norms.Length; j++) {
            if (!SquaresFit(norms[j], x.dtype) && flat.numel() > 0)
                norms[j] = ScaledNorm(flat.select(1, j));
        }
    }

    /// <summary>The norms of the columns, left where x is: float64, of shape (columns). A float64 x must have squares that fit.</summary>
    public static Tensor DeviceNorms(Tensor x, int columns)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(x.reshape(-1, columns).to(float64).norm(0, false, 2f));
    }

    /// <summary>The entries as doubles, in row-major order (one transfer when they lie on a GPU).</summary>
    public static double[] ReadAll(Tensor x)
    {
        if (x.numel() == 0)
            return [];          // where TorchSharp's accessor throws
        using var scope = NewDisposeScope();
        return Memory.Plain(x.detach().to(float64).cpu()).data<double>().ToArray();
    }

    /// <summary>The columns (the last dimension) with these numbers, in their order, new.</summary>
    public static Tensor Columns(Tensor x, long[] numbers)
    {
        using Tensor indices = tensor(numbers, int64);
        using Tensor there = indices.to(x.device);
        return x.index_select(x.dim() - 1, there);
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

    /// <summary>The inner product of each column of x with that of y, or, for one column, of the whole.</summary>
    public static double[] Dots(Tensor x, Tensor y, int columns)
    {
        if (columns == 1)
            return [Dot(x, y)];
        using var scope = NewDisposeScope();
        return ReadAll(x.mul(y).reshape(-1, columns).sum(0L, false));
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
        using Scalar shift = -size, one = 1.0;
        Scale(signs, 2 * size);
        signs.add_(shift, one);
        return scope.MoveToOuter(signs.to(device));
    }

    /// <summary>Whether x has this shape; much cheaper than to ask for x.shape, which allocates.</summary>
    public static bool HasShape(Tensor x, IReadOnlyList<long> shape)
    {
        if (x.dim() != shape.Count)
            return false;
        for (int i = 0; i < shape.Count; i++) {
            if (x.size(i) != shape[i])
                return false;
        }
        return true;
    }

    /// <summary>The number of entries of a tensor of this shape.</summary>
    public static long Count(IReadOnlyList<long> shape) => shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>The unit round-off's double: the distance from 1 to the next number of the dtype.</summary>
    public static double Epsilon(ScalarType dtype) => dtype == ScalarType.Float32 ? 1.1920928955078125e-7 : 2.220446049250313e-16;

    /// <summary>A norm near the root of the smallest normal number has lost digits to the underflow of the squares.</summary>
    public static double SmallestRoot(ScalarType dtype) => dtype == ScalarType.Float32 ? 1.1e-19 : 1.5e-154;

    private static double Root(double squares, Tensor x) =>
        squares is > 1e-250 and < 1e250 || x.numel() == 0 ? Math.Sqrt(squares) : ScaledNorm(x);

    private static bool SquaresFit(double norm, ScalarType dtype) => double.IsFinite(norm) && norm > 1e3 * SmallestRoot(dtype);

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
