using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace LsmrTorch.Datasets;

/// <summary>
/// Matrices and vectors in the text format of the NIST Matrix Market (Boisvert, Pozo and Remington 1996, NISTIR 5935):
/// coordinate or array; real, integer or pattern; general, symmetric or skew-symmetric. Files compressed by gzip are
/// known by their first bytes, whatever their name. Numbers are written with a point under every culture.
/// </summary>
public static class MatrixMarket
{
    /// <summary>
    /// The matrix in a file, both triangles of a symmetric one. A pattern's entries are 1; entries of one place are
    /// summed; zeros that the file lists are kept, so an array becomes a matrix in which every place is an entry.
    /// </summary>
    /// <exception cref="DatasetException">
    /// The file is missing, cannot be read, or breaks the format; the sentence names the line. Or it has more than ten
    /// million rows or columns, and more than a hundred for each entry.
    /// </exception>
    public static SparseMatrix ReadMatrix(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        (MatrixMarketHeader header, List<SparseMatrix.Entry> entries) = Read(path);
        foreach ((long count, string name) in new[] { (header.Rows, "rows"), (header.Columns, "columns") }) {
            if (count > MostPlaces(entries.Count)) {
                throw new DatasetException(FormattableString.Invariant(
                    $"{Quoted.Path(path)} has {count} {name}, but with {entries.Count} entries at most {MostPlaces(entries.Count)} are read."));
            }
        }
        SparseMatrix matrix = SparseMatrix.FromEntries(header.Rows, header.Columns, entries);
        CheckSums(path, matrix.Values);
        return matrix;
    }

    /// <summary>
    /// The vector in a file of one column or one row, array or coordinate; places that a coordinate file does not list
    /// are 0.
    /// </summary>
    /// <exception cref="DatasetException">
    /// The file is missing, cannot be read, breaks the format, or holds a matrix of more rows and columns than one.
    /// </exception>
    public static double[] ReadVector(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        (MatrixMarketHeader header, List<SparseMatrix.Entry> entries) = Read(path);
        if (header.Rows != 1 && header.Columns != 1) {
            throw new DatasetException(
                $"{Quoted.Path(path)} holds a matrix of {header.Rows} x {header.Columns}, but a vector has one row or one column.");
        }
        long length = header.Columns == 1 ? header.Rows : header.Columns;
        if (length > MostPlaces(entries.Count)) {
            throw new DatasetException(FormattableString.Invariant(
                $"{Quoted.Path(path)} holds a vector of {length} numbers, but with {entries.Count} entries at most {MostPlaces(entries.Count)} are read."));
        }
        var x = new double[length];
        foreach (SparseMatrix.Entry entry in entries) {
            long place = entry.Row + entry.Column;
            x[place] = header.Format == MatrixMarketFormat.Array ? entry.Value : x[place] + entry.Value;
        }
        CheckSums(path, x);
        return x;
    }

    /// <summary>
    /// Writes a vector as an array of one column, with the digits that give back the same doubles, compressed where the
    /// path ends in .gz. A file of this name is replaced at once or, on an error, stays as it was.
    /// </summary>
    /// <exception cref="DatasetException">The file cannot be written, or a number is not finite.</exception>
    public static void WriteVector(string path, ReadOnlySpan<double> x)
    {
        ArgumentNullException.ThrowIfNull(path);
        var text = new StringBuilder("%%MatrixMarket matrix array real general\n");
        text.Append(CultureInfo.InvariantCulture, $"{x.Length} 1\n");
        for (int i = 0; i < x.Length; i++) {
            if (!double.IsFinite(x[i])) {
                throw new DatasetException(FormattableString.Invariant(
                    $"{Quoted.Path(path)} cannot be written: x[{i}] is {x[i]}, but a MatrixMarket file holds finite numbers only."));
            }
            text.Append(CultureInfo.InvariantCulture, $"{x[i]:R}\n");
        }
        byte[] bytes = Encoding.ASCII.GetBytes(text.ToString());
        AtomicFile.Write(path, stream => {
            if (path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)) {
                using var compressed = new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true);
                compressed.Write(bytes);
            } else {
                stream.Write(bytes);
            }
        });
    }

    // Every number in a file is finite, but entries of one place are summed.
    private static void CheckSums(string path, double[] values)
    {
        if (!Array.TrueForAll(values, double.IsFinite)) {
            throw new DatasetException($"{Quoted.Path(path)} lists entries of one place whose sum is not finite.");
        }
    }

    /// <summary>
    /// How many rows, and how many columns, a file of so many entries may have. What is made of them takes memory in
    /// proportion to rows and columns, while a file of one line can claim any number: ten million are always taken,
    /// and more where one in a hundred has an entry.
    /// </summary>
    private static long MostPlaces(int entries) => Math.Min(Array.MaxLength - 1, Math.Max(10_000_000, 100L * entries));

    private static (MatrixMarketHeader Header, List<SparseMatrix.Entry> Entries) Read(string path)
    {
        try {
            using var lines = new MatrixMarketLines(path);
            MatrixMarketHeader header = MatrixMarketHeader.Read(lines);
            return (header, new MatrixMarketEntries(header, lines).Read());
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotRead(path, error);
        }
    }
}
