using System.Globalization;

namespace LsmrTorch;

/// <summary>Numbers and shapes in messages, in the invariant culture.</summary>
internal static class Text
{
    /// <summary>All digits, such as <c>0.05</c>.</summary>
    public static string Exact(double? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "null";

    /// <summary>Two digits, such as <c>1.5e-03</c>.</summary>
    public static string Number(double value) => value.ToString("0.0e+00", CultureInfo.InvariantCulture);

    /// <summary>Such as <c>(3, 32, 32)</c>.</summary>
    public static string Shape(IEnumerable<long> shape) => Shape(shape, null);

    /// <summary>The same with a dimension that has a letter for its size, such as <c>(30, k)</c>.</summary>
    public static string Shape(IEnumerable<long> shape, string? last)
    {
        IEnumerable<string> sizes = shape.Select(size => size.ToString(CultureInfo.InvariantCulture));
        return "(" + string.Join(", ", last is null ? sizes : sizes.Append(last)) + ")";
    }
}
