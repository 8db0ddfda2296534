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

    /// <summary>Reads a file of any positive number of records.</summary>
    /// <exception cref="DatasetException">
    /// The file cannot be read, is empty or cut short, or has a label over 9.
    /// </exception>
    public static Cifar10Records Read(string path)
    {
        byte[] bytes;
        try {
            bytes = File.ReadAllBytes(path);
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotRead(path, error);
        }
        if (bytes.Length == 0) {
            throw new DatasetException(
                $"{path} is empty, but a CIFAR-10 file holds at least one record of {RecordBytes} bytes.");
        }
        if (bytes.Length % RecordBytes != 0) {
            throw new DatasetException(
                $"{path} has {bytes.Length} bytes, which is not a multiple of the {RecordBytes} bytes of a CIFAR-10 "
                + "record: it is cut short or not a CIFAR-10 file.");
        }
        var records = new Cifar10Records(bytes.Length / RecordBytes);
        for (int i = 0; i < records.Count; i++) {
            ReadOnlySpan<byte> record = bytes.AsSpan(i * RecordBytes, RecordBytes);
            if (record[0] >= Classes) {
                throw new DatasetException(
                    $"{path}: record {i} (counted from 0) has the label {record[0]}, but CIFAR-10 labels are 0 to 9.");
            }
            records.Labels[i] = record[0];
            record[1..].CopyTo(records.Image(i));
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
