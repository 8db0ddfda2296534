namespace LsmrTorch.Datasets;

/// <summary>
/// Mean and standard deviation of a column, in units of a power of two near its largest value, so that no square
/// overflows or underflows whatever the unit of the column is.
/// </summary>
/// <param name="Exponent">Values are taken in units of 2^Exponent.</param>
/// <param name="Mean">The mean in that unit.</param>
/// <param name="Deviation">The standard deviation in that unit, with n in the denominator.</param>
internal readonly record struct ColumnScale(int Exponent, double Mean, double Deviation)
{
    /// <summary>The scale of these values, which are finite.</summary>
    public static ColumnScale Of(double[] values)
    {
        double largest = values.Max(Math.Abs);
        int exponent = largest == 0 ? 0 : Math.ILogB(largest);
        double[] scaled = [.. values.Select(value => Math.ScaleB(value, -exponent))];
        double mean = scaled.Average();
        return new ColumnScale(exponent, mean, Math.Sqrt(scaled.Average(value => (value - mean) * (value - mean))));
    }

    /// <summary>The value in standard deviations from the mean; not finite where that is no double.</summary>
    public double Standardised(double value) => (Math.ScaleB(value, -Exponent) - Mean) / Deviation;
}
