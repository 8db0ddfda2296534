namespace LsmrTorch;

/// <summary>
/// A unit 2^k for numbers of one kind, near the largest of them, so that products and squares of the numbers in this unit
/// stay in the range of float64. Changing the unit changes no digit.
/// </summary>
internal readonly struct PowerOfTwo
{
    private const int Most = 1000;      // 2^-k and 2^k are both normal numbers

    private readonly double unit, inverse;

    private PowerOfTwo(int k) => (unit, inverse) = (Math.ScaleB(1, k), Math.ScaleB(1, -k));

    /// <summary>The unit near a number; 1 if it is zero or not finite.</summary>
    public static PowerOfTwo Near(double x) =>
        new(x > 0 && double.IsFinite(x) ? Math.Clamp(Math.ILogB(x), -Most, Most) : 0);

    /// <summary>A number in this unit.</summary>
    public double In(double x) => x * inverse;

    /// <summary>The number that has this value in this unit.</summary>
    public double Of(double value) => value * unit;
}
