namespace LsmrTorch.Datasets;

/// <summary>
/// Images in the CIFAR-10 binary format: one record an image, a label byte and 3 x 32 x 32 pixel bytes, the red plane
/// first, rows from the top (Krizhevsky 2009).
/// </summary>
internal sealed class Cifar10Records
{
    public const int Classes = 10;
    public const int Side = 32;
    public const int ImageBytes = 3 * Side * Side;
    public const int RecordBytes = 1 + ImageBytes;

    /// <summary>How many records one array holds.</summary>
    public static readonly int MaximalCount = Array.MaxLength / RecordBytes;

    /// <summary>How many records a file may have, 307 MB; CIFAR-10's have 10,000.</summary>
    public const int MostInFile = 100_000;

    /// <summary><paramref name="count"/> black images of class 0, at most <see cref="MaximalCount"/>.</summary>
    public Cifar10Records(int count)
    {
        Labels = new long[count];
        Pixels = new byte[count * ImageBytes];
    }

    public int Count => Labels.Length;

    /// <summary>The classes, 0 to 9.</summary>
    public long[] Labels { get; }

    /// <summary>The images one after another.</summary>
    public byte[] Pixels { get; }

    public Span<byte> Image(int index) => Pixels.AsSpan(index * ImageBytes, ImageBytes);

    /// <summary>Reads a file of 1 to <see cref="MostInFile"/> records.</summary>
    /// <exception cref="DatasetException">
    /// The file cannot be read, is empty, too long or cut short, or has a label over 9.
    /// </exception>
    public static Cifar10Records Read(string path)
    {
        try {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
            return Read(path, file);
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotRead(path, error);
        }
    }

    private static Cifar10Records Read(string path, FileStream file)
    {
        if (!file.CanSeek || file.Length == 0) { // a device has no length
            throw new DatasetException(
                $"{Quoted.Path(path)} is empty, but a CIFAR-10 file holds at least one record of {RecordBytes} bytes.");
        }
        if (file.Length % RecordBytes != 0) {
            throw new DatasetException(
                $"{Quoted.Path(path)} has {file.Length} bytes, which is not a multiple of the {RecordBytes} bytes of a CIFAR-10 "
                + "record: it is cut short or not a CIFAR-10 file.");
        }
        if (file.Length / RecordBytes > MostInFile) {
            throw new DatasetException(
                $"{Quoted.Path(path)} has {file.Length / RecordBytes} records, but a CIFAR-10 file has at most {MostInFile}.");
        }
        var records = new Cifar10Records((int)(file.Length / RecordBytes));
        for (int i = 0; i < records.Count; i++) {
            int label = file.ReadByte();
            if (label >= Classes) {
                throw new DatasetException(
                    $"{Quoted.Path(path)}: record {i} (counted from 0) has the label {label}, but CIFAR-10 labels are 0 to 9.");
            }
            records.Labels[i] = label;
            file.ReadExactly(records.Image(i));
        }
        return records;
    }

    /// <summary>Writes the records to a file.</summary>
    /// <exception cref="DatasetException">The file cannot be written.</exception>
    public void Write(string path) => AtomicFile.Write(path, stream => {
        for (int i = 0; i < Count; i++) {
            stream.WriteByte((byte)Labels[i]);
            stream.Write(Image(i));
        }
    });
}
