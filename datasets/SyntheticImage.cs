namespace LsmrTorch.Datasets;

/// <summary>
/// Draws one image of a class of <see cref="Cifar10Generator"/>. Only additions, products, quotients and square roots
/// of doubles are used, which IEEE 754 rounds the same everywhere, so a seed gives the same bytes on every machine.
/// </summary>
internal sealed class SyntheticImage
{
    private const int Side = Cifar10Records.Side;
    private const int Plane = Side * Side;
    private const double MaximalTilt = 0.35;    // the tangent of about 19 degrees
    private const double Tint = 0.3;            // how far colours lean to the class's own
    private const double Noise = 25;

    private readonly SplitMix64 _random;
    private readonly double[] _canvas = new double[3 * Plane];

    private SyntheticImage(SplitMix64 random) => _random = random;

    /// <summary>Fills <paramref name="image"/> (3 x 32 x 32 bytes, planes of red, green, blue).</summary>
    public static void Draw(int label, SplitMix64 random, Span<byte> image)
    {
        var drawing = new SyntheticImage(random);
        drawing.DrawBackground(label);
        for (int clutter = random.Below(3); clutter > 0; clutter--) {
            drawing.DrawClutter();
        }
        drawing.DrawObject(label);
        drawing.Develop(image);
    }

    private void DrawBackground(int label)
    {
        Colour first = RandomColour().Toward(Colour.Of(label), Tint), second = RandomColour();
        double slopeX = _random.Uniform(-1, 1) / Side, slopeY = _random.Uniform(-1, 1) / Side;
        Paint((x, y) => {
            double share = 0.5 + slopeX * (x - Side / 2) + slopeY * (y - Side / 2);
            return (first.Toward(second, Math.Clamp(share, 0, 1)), 1);
        });
    }

    /// <summary>A small plain disc or bar anywhere.</summary>
    private void DrawClutter()
    {
        Colour colour = RandomColour();
        double centreX = _random.Uniform(0, Side), centreY = _random.Uniform(0, Side);
        double halfWidth = _random.Uniform(1.5, 5), halfHeight = _random.Uniform(1.5, 5);
        bool isDisc = _random.Below(2) == 0;
        Paint((x, y) => {
            double dx = x - centreX, dy = y - centreY;
            double distance = isDisc
                ? Math.Sqrt(dx * dx + dy * dy) - halfWidth
                : Math.Max(Math.Abs(dx) - halfWidth, Math.Abs(dy) - halfHeight);
            return (colour, Coverage(distance));
        });
    }

    /// <summary>
    /// The object of a class, nearly upright, at a random place and size, in two shades of a colour that leans to the
    /// class's own, with a texture that leans to that of its sister class.
    /// </summary>
    private void DrawObject(int label)
    {
        double radius = _random.Uniform(9, 12);
        double room = Side / 2 - radius;
        double centreX = Side / 2 + _random.Uniform(-room, room), centreY = Side / 2 + _random.Uniform(-room, room);
        double tilt = _random.Uniform(-MaximalTilt, MaximalTilt);
        double cos = 1 / Math.Sqrt(1 + tilt * tilt), sin = tilt * cos;
        double shift = _random.Uniform(0, 1), blend = _random.Uniform(0, 0.5);
        Colour first = RandomColour().Toward(Colour.Of(label), Tint);
        Colour second = first.Toward(first.Sum > 384 ? Colour.Black : Colour.White, _random.Uniform(0.4, 0.9));
        if (_random.Below(2) == 0) {
            (first, second) = (second, first);
        }
        Paint((x, y) => {
            double dx = (x - centreX) / radius, dy = (y - centreY) / radius;
            double u = cos * dx + sin * dy, v = cos * dy - sin * dx;
            double distance = radius * SyntheticShape.Distance(label, u, v);
            double share = SyntheticShape.Texture(label, u + shift, v + shift, blend);
            return (first.Toward(second, share), Coverage(distance));
        });
    }

    /// <summary>Adds noise and rounds to bytes.</summary>
    private void Develop(Span<byte> image)
    {
        for (int i = 0; i < image.Length; i++) {
            double noise = Noise * (_random.Uniform(-1, 1) + _random.Uniform(-1, 1)) / 2;
            image[i] = (byte)Math.Clamp(Math.Floor(_canvas[i] + noise + 0.5), 0, 255);
        }
    }

    private void Paint(Func<double, double, (Colour Colour, double Coverage)> brush)
    {
        for (int pixel = 0; pixel < Plane; pixel++) {
            (Colour colour, double coverage) = brush(pixel % Side + 0.5, pixel / Side + 0.5);
            _canvas[pixel] += coverage * (colour.Red - _canvas[pixel]);
            _canvas[pixel + Plane] += coverage * (colour.Green - _canvas[pixel + Plane]);
            _canvas[pixel + 2 * Plane] += coverage * (colour.Blue - _canvas[pixel + 2 * Plane]);
        }
    }

    /// <summary>The share of a pixel that lies inside an outline this many pixels away.</summary>
    private static double Coverage(double distance) => Math.Clamp(0.5 - distance, 0, 1);

    private Colour RandomColour() => new(_random.Uniform(0, 255), _random.Uniform(0, 255), _random.Uniform(0, 255));

    private readonly record struct Colour(double Red, double Green, double Blue)
    {
        public static Colour Black => new(0, 0, 0);
        public static Colour White => new(255, 255, 255);

        public double Sum => Red + Green + Blue;

        /// <summary>The colour that objects of a class lean to; the ten are spread over the colour cube.</summary>
        public static Colour Of(int label)
            => new(255 * (label * 3 % 10) / 9.0, 255 * (label * 7 % 10) / 9.0, 255 * label / 9.0);

        public Colour Toward(Colour other, double share) => new(
            Red + share * (other.Red - Red), Green + share * (other.Green - Green), Blue + share * (other.Blue - Blue));
    }
}
