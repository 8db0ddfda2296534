namespace LsmrTorch.Tests.RandomSweep;

/// <summary>
/// A number as the unevaluated sum of two doubles, with about 32 digits (Dekker 1971; Hida, Li and Bailey 2001): the truth that
/// a solve in float64 is measured against must not have float64's own errors.
/// </summary>
internal readonly record struct DoubleDouble(double High, double Low)
{
    public static implicit operator DoubleDouble(double x) => new(x, 0);

    public static explicit operator double(DoubleDouble x) => x.High + x.Low;

    public static DoubleDouble operator -(DoubleDouble a) => new(-a.High, -a.Low);

    public static DoubleDouble operator +(DoubleDouble a, DoubleDouble b)
    {
        (double sum, double lost) = TwoSum(a.High, b.High);
        (double low, double less) = TwoSum(a.Low, b.Low);
        (sum, lost) = FastTwoSum(sum, lost + low);
        (sum, lost) = FastTwoSum(sum, lost + less);
        return new(sum, lost);
    }

    public static DoubleDouble operator -(DoubleDouble a, DoubleDouble b) => a + -b;

    public static DoubleDouble operator *(DoubleDouble a, DoubleDouble b)
    {
        double product = a.High * b.High, lost = Math.FusedMultiplyAdd(a.High, b.High, -product);
        lost += a.High * b.Low + a.Low * b.High;
        (product, lost) = FastTwoSum(product, lost);
        return new(product, lost);
    }

    public static DoubleDouble operator /(DoubleDouble a, DoubleDouble b)
    {
        double first = a.High / b.High;
        DoubleDouble rest = a - b * first;
        double second = rest.High / b.High;
        rest -= b * second;
        (double high, double low) = FastTwoSum(first, second);
        return new DoubleDouble(high, low) + rest.High / b.High;
    }

    public static DoubleDouble Sqrt(DoubleDouble a)
    {
        if (a.High <= 0)
            return 0;
        double root = Math.Sqrt(a.High);
        DoubleDouble square = (DoubleDouble)root * root;
        return (DoubleDouble)root + (a - square).High / (2 * root);
    }

    private static (double Sum, double Lost) TwoSum(double a, double b)
    {
        double sum = a + b, other = sum - a;
        return (sum, a - (sum - other) + (b - other));
    }

    private static (double Sum, double Lost) FastTwoSum(double a, double b)
    {
        double sum = a + b;
        return (sum, b - (sum - a));
    }
}
