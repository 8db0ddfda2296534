namespace LsmrTorch.Datasets;

/// <summary>
/// The outlines and textures that make the ten classes of <see cref="Cifar10Generator"/>: class c has the shape c / 2
/// and the texture c mod 2. Coordinates are of the upright object: x to the right, y down, the object within about
/// 1 of the origin.
/// </summary>
internal static class SyntheticShape
{
    /// <summary>The distance of (x, y) from the outline of a class, negative inside.</summary>
    public static double Distance(int label, double x, double y)
    {
        switch (label / 2) {
            case 0:
                return Triangle(x, y);
            case 1:
                return Dome(x, y);
            case 2:    // the letter T
                return Math.Min(Box(x, y + 0.6, 0.95, 0.32), Box(x, y - 0.1, 0.32, 0.9));
            case 3:    // the letter L
                return Math.Min(Box(x + 0.5, y, 0.32, 0.95), Box(x - 0.05, y - 0.63, 0.87, 0.32));
            default:   // a ring on a stick
                return Math.Min(Ring(x, y + 0.35), Box(x, y - 0.65, 0.24, 0.4));
        }
    }

    /// <summary>
    /// How much of the second colour the texture of a class shows at (x, y), 0 to 1, when the other texture is mixed
    /// in by the share <paramref name="blend"/>; at one half the two textures are the same.
    /// </summary>
    public static double Texture(int label, double x, double y, double blend)
    {
        double stripes = Wave(y / Period) - 0.5;
        double checks = 2 * stripes * (2 * Wave(x / Period) - 1);
        double checksShare = label % 2 == 0 ? blend : 1 - blend;
        return Math.Clamp(0.5 + 3 * (stripes + checksShare * (checks - stripes)), 0, 1);
    }

    private const double Period = 0.65;

    private static double Triangle(double x, double y)
        => Math.Max(y - 0.8, 0.894 * Math.Abs(x) - 0.447 * (y + 1));

    private static double Dome(double x, double y)
        => Math.Max(Math.Sqrt(x * x + (y - 0.45) * (y - 0.45)) - 1, y - 0.45);

    private static double Box(double x, double y, double halfWidth, double halfHeight)
        => Math.Max(Math.Abs(x) - halfWidth, Math.Abs(y) - halfHeight);

    private static double Ring(double x, double y)
        => Math.Abs(Math.Sqrt(x * x + y * y) - 0.45) - 0.22;

    /// <summary>A wave of triangles: 0 at whole t, 1 half-way between, period 1.</summary>
    private static double Wave(double t) => 2 * Math.Abs(t - Math.Floor(t + 0.5));
}
