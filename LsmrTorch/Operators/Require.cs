using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The checks of arguments that every entry makes, so that each rule has one wording.</summary>
internal static class Require
{
    public static ScalarType RealFloat(ScalarType dtype, string what) =>
        dtype is ScalarType.Float32 or ScalarType.Float64
            ? dtype
            : throw new ArgumentException($"The dtype of {what} must be float32 or float64, but is {dtype}.");

    /// <summary>The sizes of a shape, none below zero, whose product is a number of entries.</summary>
    public static long[] Sizes(long[] shape, string what)
    {
        if (shape.Any(size => size < 0))
            throw new ArgumentException($"{what} must have no size below zero, but is {Text.Shape(shape)}.");
        if (!shape.Contains(0) && shape.Aggregate(1.0, (product, size) => product * size) >= long.MaxValue)
            throw new ArgumentException(
                $"{what} must have at most {long.MaxValue} entries, but is {Text.Shape(shape)}.");
        return shape;
    }

    /// <summary>A device that has memory.</summary>
    public static Device Memory(Device device, string what) => device.type == DeviceType.META
        ? throw new ArgumentException($"{what} must lie where there are numbers, but its device is {device}.")
        : device;

    /// <summary>A tensor that an operator is made of: strided, and not on the device meta.</summary>
    public static Tensor Strided(Tensor x, string name)
    {
        ArgumentNullException.ThrowIfNull(x, name);
        Memory(x.device, name);
        if (Layout.Of(x) != Layout.Strided)
            throw new ArgumentException(
                $"{name} must be a dense tensor, but is a sparse one; to_dense() makes one of it.", name);
        return x;
    }

    /// <summary>λ: finite, not negative, and in the range of the dtype that it multiplies.</summary>
    public static double Damp(double damp, string name, ScalarType dtype)
    {
        NonNegative(damp, name);
        return LsmrTorch.Vectors.Fits(damp, dtype)
            ? damp
            : throw new ArgumentException($"{name} must fit {dtype}, whose largest number is "
                + $"{Text.Number(float.MaxValue)}, but is {Text.Number(damp)}.", name);
    }

    /// <summary>That a tensor has kept the shape, dtype and device with which an operator was made of it.</summary>
    public static void Unchanged(Tensor x, string what, ReadOnlySpan<long> shape, ScalarType dtype, DeviceType device)
    {
        bool isSame = x.dim() == shape.Length;
        for (int i = 0; isSame && i < shape.Length; i++)
            isSame = x.size(i) == shape[i];
        if (!isSame || x.dtype != dtype || x.device_type != device)
            throw new ArgumentException(
                $"{what} of an operator must keep its shape, dtype and device, {Text.Shape(shape.ToArray())}, {dtype} "
                    + $"on {device}, but is now {Text.Shape(x.shape)}, {x.dtype} on {x.device_type}; make the "
                    + $"operator anew.");
    }

    /// <summary>The same, with one more dimension allowed for columns.</summary>
    public static void Vectors(Tensor x, string name, IReadOnlyList<long> shape, string whose, LinearOperator A)
    {
        ArgumentNullException.ThrowIfNull(x, name);
        long[] found = x.shape;
        bool isBlock = found.Length == shape.Count + 1 && found[^1] > 0 && found[..^1].SequenceEqual(shape);
        Vector(x, name, isBlock ? found : shape, whose, A, $", or {Text.Shape(shape, "k")} for k columns, k > 0");
    }

    /// <summary>Checks shape, dtype, device, and that autograd may see the tensor.</summary>
    public static void Vector(Tensor x, string name, IReadOnlyList<long> shape, string whose, LinearOperator A,
        string alsoTaken = "")
    {
        ArgumentNullException.ThrowIfNull(x, name);
        if (!LsmrTorch.Vectors.HasShape(x, shape))
            throw new ArgumentException(
                $"{name} has shape {Text.Shape(x.shape)} but {whose} {Text.Shape(shape)}{alsoTaken}.", name);
        if (Layout.Of(x) != Layout.Strided)
            throw new ArgumentException(
                $"{name} must be a dense tensor, but is a sparse one; to_dense() makes one of it.", name);
        if (x.dtype != A.dtype)
            throw new ArgumentException($"{name} has dtype {x.dtype} but the operator has {A.dtype}.", name);
        if (x.device_type != A.device.type || Math.Max(0, x.device_index) != Math.Max(0, A.device.index))
            throw new ArgumentException($"{name} lies on {x.device} but the operator on {A.device}.", name);
    }

    public static double NonNegative(double value, string name) =>
        value >= 0 && double.IsFinite(value)
            ? value
            : throw new ArgumentException($"{name} must be finite and not negative, but is {Text.Number(value)}.", name);

    /// <summary>A tensor that is written to: each entry has a place in memory that no other has.</summary>
    public static void OwnPlaces(Tensor x, string name)
    {
        long reached = 0;       // by the dimensions of smaller steps
        foreach ((long stride, long size) in x.stride().Zip(x.shape).Where(dimension => dimension.Second > 1)
            .OrderBy(dimension => dimension.First)) {
            if (stride <= reached)
                throw new ArgumentException(
                    $"{name} must have a place in memory for each entry, but is a view of shape {Text.Shape(x.shape)} "
                        + $"with strides {Text.Shape(x.stride())}.", name);
            reached += stride * (size - 1);
        }
    }

    public static void Finite(Tensor x, string what)
    {
        if (!double.IsFinite(LsmrTorch.Vectors.Norm(x)))
            throw new ArgumentException($"{what} must be finite, but some are not.");
    }

    public static void NoInferenceMode()
    {
        if (is_inference_mode_enabled())
            throw new InvalidOperationException("A solve cannot run inside torch.inference_mode(): the transpose by autograd needs tensors that record. Use torch.no_grad().");
    }
}
