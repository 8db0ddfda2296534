using SkiaSharp;

namespace LsmrTorch.Datasets;

/// <summary>
/// Decodes JPEG and PNG files: the only place that knows SkiaSharp. Grey and CMYK images become red, green and blue;
/// transparency, colour profiles and the orientation in the metadata are passed over, as Pillow's <c>convert("RGB")</c>
/// does.
/// </summary>
internal static class ImageFile
{
    // What is decoded takes four bytes a pixel, and a progressive JPEG six more: a header of a few bytes can ask for
    // gigabytes. 2²⁶ pixels are four times those of the largest photograph of ImageNet; 65,535 is JPEG's own limit.
    private const long MostPixels = 1L << 26;
    private const int LongestSide = 65_535;
    private const int MostBytes = 1 << 28;

    /// <summary>The image of a file; whoever asked for it disposes of it.</summary>
    /// <exception cref="DatasetException">
    /// The file cannot be read, is no whole image, or is one of over 2²⁶ pixels, with a side of over 65,535, or of over 2²⁸ bytes.
    /// </exception>
    public static unsafe DecodedImage Read(string path)
    {
        byte[] bytes = BoundedFile.ReadBytes(path, MostBytes);
        fixed (byte* start = bytes) {
            using SKData? data = bytes.Length == 0 ? null : SKData.Create((IntPtr)start, bytes.Length);
            using SKCodec? codec = data is null ? null : SKCodec.Create(data);
            if (codec is null) {
                throw new DatasetException($"{Quoted.Path(path)} is no image that can be decoded.");
            }
            return Decoded(codec, path);
        }
    }

    private static unsafe DecodedImage Decoded(SKCodec codec, string path)
    {
        (int width, int height) = (codec.Info.Width, codec.Info.Height);
        if (width < 1 || height < 1 || width > LongestSide || height > LongestSide || (long)width * height > MostPixels) {
            throw new DatasetException(FormattableString.Invariant(
                $"{Quoted.Path(path)} is an image of {width} x {height} pixels, but one has at most {MostPixels} pixels and {LongestSide} a side."));
        }
        var format = new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        var image = new DecodedImage(width, height);
        SKCodecResult result;
        fixed (byte* pixels = image.Pixels) {
            result = codec.GetPixels(format, (IntPtr)pixels);
        }
        if (result != SKCodecResult.Success) {
            image.Dispose();
            throw new DatasetException($"{Quoted.Path(path)} is a broken image ({result}).");
        }
        return image;
    }
}
