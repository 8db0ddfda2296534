using System.Globalization;
using System.IO.Compression;

namespace LsmrTorch.Datasets;

/// <summary>Rows of comma-separated entries, in a file that is plain or compressed by gzip.</summary>
internal static class CommaSeparated
{
    /// <summary>All rows, of one length; blank lines are left out.</summary>
    /// <param name="path">The file.</param>
    /// <param name="parse">An entry's number, or a <see cref="FormatException"/> that says what is wrong with it.</param>
    /// <exception cref="DatasetException">The file is missing, cannot be read, is empty, or has a row of another length or a wrong entry.</exception>
    public static double[][] Read(string path, Func<ReadOnlySpan<char>, double> parse)
    {
        try {
            using var lines = new BoundedLines(path);
            var rows = new List<double[]>();
            while (lines.Next() is { } line) {
                if (string.IsNullOrWhiteSpace(line)) {
                    continue;
                }
                rows.Add(Row(line, parse, lines));
                if (rows[^1].Length != rows[0].Length) {
                    throw lines.Error($"there are {rows[^1].Length} entries where the first row has {rows[0].Length}");
                }
            }
            return rows.Count > 0 ? [.. rows] : throw new DatasetException($"{Quoted.Path(path)} is empty.");
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotRead(path, error);
        }
    }

    /// <summary>Writes rows compressed by gzip, whole or not at all; numbers are written so that they read back the same.</summary>
    /// <exception cref="DatasetException">The file cannot be written.</exception>
    public static void Write(string path, IEnumerable<IEnumerable<double>> rows) => AtomicFile.Write(path, stream => {
        using var gzip = new GZipStream(stream, CompressionLevel.Fastest, leaveOpen: true);
        using var writer = new StreamWriter(gzip) { NewLine = "\n" };
        foreach (IEnumerable<double> row in rows) {
            writer.WriteLine(string.Join(',', row.Select(value => value.ToString("R", CultureInfo.InvariantCulture))));
        }
    });

    private static double[] Row(string line, Func<ReadOnlySpan<char>, double> parse, BoundedLines lines)
    {
        var row = new double[line.AsSpan().Count(',') + 1];
        int start = 0;
        for (int j = 0; j < row.Length; j++) {
            int comma = line.IndexOf(',', start), end = comma < 0 ? line.Length : comma;
            try {
                row[j] = parse(line.AsSpan(start, end - start));
            } catch (FormatException wrong) {
                throw lines.Error(string.Create(CultureInfo.InvariantCulture, $"in column {j + 1} {wrong.Message}"));
            }
            start = end + 1;
        }
        return row;
    }
}
