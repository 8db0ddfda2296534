using System.Globalization;
using System.Text;

namespace LsmrTorch.Datasets;

/// <summary>Reads a file as a whole, up to a bound: a device that never ends, or a file put there by mistake, is refused.</summary>
internal static class BoundedFile
{
    /// <summary>The bytes of a file of at most <paramref name="most"/>.</summary>
    /// <exception cref="DatasetException">It is longer, or cannot be read.</exception>
    public static byte[] ReadBytes(string path, int most)
    {
        try {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            if (file.CanSeek && file.Length > most) {
                throw TooLong(path, most);
            }
            using var content = new MemoryStream(file.CanSeek ? (int)file.Length : 0);
            var block = new byte[Math.Clamp(most, 1, 1 << 16)];
            for (int read = file.Read(block); read > 0; read = file.Read(block)) {
                if (content.Length + read > most) {
                    throw TooLong(path, most);
                }
                content.Write(block, 0, read);
            }
            return content.Length == content.Capacity ? content.GetBuffer() : content.ToArray();
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotRead(path, error);
        }
    }

    /// <summary>The text of such a file, in UTF-8.</summary>
    /// <exception cref="DatasetException">It is longer, or cannot be read.</exception>
    public static string ReadText(string path, int most)
    {
        byte[] bytes = ReadBytes(path, most);
        ReadOnlySpan<byte> text = bytes;
        return Encoding.UTF8.GetString(text.StartsWith(Encoding.UTF8.Preamble) ? text[Encoding.UTF8.Preamble.Length..] : text);
    }

    private static DatasetException TooLong(string path, int most) => new(string.Create(CultureInfo.InvariantCulture,
        $"{Quoted.Path(path)} has more than the {most} bytes that a file of this kind may have."));
}
