using System.Globalization;
using System.IO.Compression;

namespace LsmrTorch.Datasets;

/// <summary>The lines of a text file, plain or compressed by gzip, and the number of the one at hand.</summary>
internal sealed class MatrixMarketLines : IDisposable
{
    private readonly string _path;
    private readonly StreamReader _reader;

    public MatrixMarketLines(string path)
    {
        _path = path;
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        try {
            bool isGzip = file.ReadByte() == 0x1f && file.ReadByte() == 0x8b;
            file.Position = 0;
            _reader = new StreamReader(isGzip ? new GZipStream(file, CompressionMode.Decompress) : file);
        } catch {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The line at hand.</summary>
    public string Current { get; private set; } = "";

    private long Number { get; set; }

    /// <summary>Goes to the next line; false at the end of the file.</summary>
    public bool MoveNextLine()
    {
        if (_reader.ReadLine() is not { } line) {
            return false;
        }
        Current = line;
        Number++;
        return true;
    }

    /// <summary>Goes to the next line that is neither blank nor a comment; false at the end of the file.</summary>
    public bool MoveNext()
    {
        while (MoveNextLine()) {
            ReadOnlySpan<char> text = Current.AsSpan().TrimStart();
            if (text.Length > 0 && text[0] != '%') {
                return true;
            }
        }
        return false;
    }

    /// <summary>The exception for a rule broken in the line at hand.</summary>
    public DatasetException Error(string rule)
        => new(string.Create(CultureInfo.InvariantCulture, $"{_path}, line {Math.Max(Number, 1)}: {rule}."));

    public void Dispose() => _reader.Dispose();
}
