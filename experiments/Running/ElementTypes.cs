using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Running;

/// <summary>The element types that files of this program hold.</summary>
internal static class ElementTypes
{
    /// <summary>Bytes of an element.</summary>
    /// <exception cref="FormatException">No file holds tensors of this type, or there is none of this number.</exception>
    public static long Bytes(ScalarType type) => type switch {
        ScalarType.Byte or ScalarType.Int8 or ScalarType.Bool => 1,
        ScalarType.Int16 or ScalarType.Float16 or ScalarType.BFloat16 => 2,
        ScalarType.Int32 or ScalarType.Float32 => 4,
        ScalarType.Int64 or ScalarType.Float64 => 8,
        _ => throw new FormatException($"a tensor in a file is not of type {type}"),
    };

    /// <summary>Bytes of a tensor.</summary>
    /// <exception cref="FormatException">The type is none, or a size is negative.</exception>
    /// <exception cref="OverflowException">They are more than a long can count.</exception>
    public static long Bytes(ScalarType type, ReadOnlySpan<long> shape)
    {
        long bytes = Bytes(type);
        foreach (long side in shape) {
            bytes = side >= 0 ? checked(bytes * side) : throw new FormatException($"a tensor has no side of {side}");
        }
        return bytes;
    }
}
