using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace LsmrTorch.Datasets;

/// <summary>
/// The lines of a text file, plain or compressed by gzip. A line has a bound, and so has what a compressed file may
/// grow to, so that a damaged or hostile file is refused before it takes the memory of the machine.
/// </summary>
internal sealed class BoundedLines : IDisposable
{
    /// <summary>Characters of a line, unless a smaller number is asked for.</summary>
    public const int LongestLine = 1 << 24;

    // A compressed text that is larger than this and fifty times its file is refused. Tables of numbers shrink to a
    // third or a tenth, masks of 0 and 1 to a twentieth; gzip's limit is 1:1032.
    private const long AlwaysAllowed = 32L << 20;
    private const long MostGrowth = 50;

    private readonly string _path;
    private readonly int _longestLine;
    private readonly FileStream _file;
    private readonly StreamReader _reader;
    private readonly CountingStream? _expanded;
    private readonly char[] _buffer = new char[1 << 14];
    private int _start, _end;

    /// <summary>Opens the file.</summary>
    public BoundedLines(string path, int longestLine = LongestLine)
    {
        (_path, _longestLine) = (path, longestLine);
        _file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        try {
            if (!_file.CanSeek) {
                throw new NotSupportedException();
            }
            bool isGzip = _file.ReadByte() == 0x1f && _file.ReadByte() == 0x8b;
            _file.Position = 0;
            if (isGzip) {
                _expanded = new CountingStream(new GZipStream(_file, CompressionMode.Decompress));
            }
            _reader = new StreamReader(_expanded ?? (Stream)_file);
        } catch {
            _file.Dispose();
            throw;
        }
    }

    /// <summary>The number of the line that was read last, from 1.</summary>
    public long Number { get; private set; }

    /// <summary>The next line without its end, or null after the last.</summary>
    /// <exception cref="DatasetException">The line is too long, or a compressed file grows too far.</exception>
    public string? Next()
    {
        StringBuilder? line = null;
        if (!Fill()) {
            return null;
        }
        Number++;
        do {
            Span<char> rest = _buffer.AsSpan(_start, _end - _start);
            int length = rest.IndexOfAny('\n', '\r');
            int taken = length < 0 ? rest.Length : length;
            if ((line?.Length ?? 0) + taken > _longestLine) {
                throw Error($"it has more than {_longestLine} characters, which are too many for a line");
            }
            if (length < 0) {
                (line ??= new StringBuilder()).Append(rest);
                _start = _end;
                continue;
            }
            string text = line is null ? new string(rest[..length]) : line.Append(rest[..length]).ToString();
            bool isReturn = rest[length] == '\r';
            _start += length + 1;
            if (isReturn && Fill() && _buffer[_start] == '\n') {
                _start++;
            }
            return text;
        } while (Fill());
        return line!.ToString();
    }

    /// <summary>The exception for a rule broken in the line that was read last.</summary>
    public DatasetException Error(string rule) => new(string.Create(CultureInfo.InvariantCulture,
        $"{Quoted.Path(_path)}, line {Math.Max(Number, 1)}: {rule}."));

    /// <inheritdoc/>
    public void Dispose()
    {
        _reader.Dispose();
        _file.Dispose();
    }

    // False at the end of the file.
    private bool Fill()
    {
        if (_start < _end) {
            return true;
        }
        (_start, _end) = (0, _reader.Read(_buffer));
        if (_expanded is { Count: > AlwaysAllowed and long count } && count > MostGrowth * _file.Position) {
            throw new DatasetException(string.Create(CultureInfo.InvariantCulture,
                $"{Quoted.Path(_path)} grows to over {MostGrowth} times its size when it is decompressed, which no table of "
                + $"numbers does; decompress it first if it is meant."));
        }
        return _end > 0;
    }

    /// <summary>Counts what is read through it.</summary>
    private sealed class CountingStream(Stream inner) : Stream
    {
        public long Count { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            int read = inner.Read(buffer);
            Count += read;
            return read;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) {
                inner.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
