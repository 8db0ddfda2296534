using LsmrTorch.Experiments.Running;
using SkiaSharp;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>Rows of images in one PNG.</summary>
internal static class ImageGrid
{
    private const int Width = 48;       // of an image
    private const int Gap = 6;
    private const double Range = 2.2;   // deviations from the mean, on either side, from black to white

    /// <summary>Writes a row for each of <paramref name="rows"/>: images of 3·side² normalised numbers, one after the other.</summary>
    public static void Save(string path, int side, IReadOnlyList<float[]> rows)
    {
        int scale = Math.Max(1, Width / side), step = (scale * side) + Gap, pixels = side * side;
        using var picture = new SKBitmap(Gap + (step * rows.Max(row => row.Length / (3 * pixels))), Gap + (step * rows.Count));
        picture.Erase(SKColors.White);
        for (int row = 0; row < rows.Count; row++) {
            for (int i = 0; i < rows[row].Length / 3; i++) {
                (int image, int pixel) = (i / pixels, i % pixels);
                int at = (3 * pixels * image) + pixel;
                var colour = new SKColor(Level(rows[row][at]), Level(rows[row][at + pixels]), Level(rows[row][at + (2 * pixels)]));
                for (int dot = 0; dot < scale * scale; dot++) {
                    picture.SetPixel(Gap + (step * image) + (scale * (pixel % side)) + (dot % scale), Gap + (step * row) + (scale * (pixel / side)) + (dot / scale), colour);
                }
            }
        }
        using SKData data = picture.Encode(SKEncodedImageFormat.Png, 100);
        File.WriteAllBytes(path, data.ToArray());
    }

    private static byte Level(float value) => (byte)Math.Clamp(127.5 + (127.5 * value / Range), 0, 255);
}
