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
        if (x.dtype != A.dtype)
            throw new ArgumentException($"{name} has dtype {x.dtype} but the operator has {A.dtype}.", name);
        if (x.device_type != A.device.type || Math.Max(0, x.device_index) != Math.Max(0, A.device.index))
            throw new ArgumentException($"{name} lies on {x.device} but the operator on {A.device}.", name);
    }

    public static double NonNegative(double value, string name) =>
        value >= 0 && double.IsFinite(value)
            ? value
            : throw new ArgumentException($"{name} must be finite and not negative, but is {Text.Number(value)}.", name);

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
