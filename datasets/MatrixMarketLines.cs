namespace LsmrTorch.Datasets;

/// <summary>The lines of a text file, plain or compressed by gzip, with the one at hand.</summary>
internal sealed class MatrixMarketLines(string path) : IDisposable
{
    private readonly BoundedLines _lines = new(path);

    /// <summary>The line at hand.</summary>
    public string Current { get; private set; } = "";

    /// <summary>Goes to the next line; false at the end of the file.</summary>
    public bool MoveNextLine()
    {
        if (_lines.Next() is not { } line) {
            return false;
        }
        Current = line;
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
    public DatasetException Error(string rule) => _lines.Error(rule);

    public void Dispose() => _lines.Dispose();
}
