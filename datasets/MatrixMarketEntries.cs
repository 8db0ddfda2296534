using System.Globalization;

namespace LsmrTorch.Datasets;

/// <summary>Reads the entries that follow the header of a MatrixMarket file.</summary>
internal sealed class MatrixMarketEntries(MatrixMarketHeader header, MatrixMarketLines lines)
{
    // What the size line says is believed no further than this before the entries are there.
    private const int FirstCapacity = 1 << 16;

    private readonly List<SparseMatrix.Entry> _entries = new((int)Math.Min(header.Entries, FirstCapacity));
    private long _read;

    // Where a symmetric matrix has its entries so far: -1 below the diagonal, 1 above it, 0 not known yet.
    private int _triangle;

    /// <summary>The entries in the order of the file, of a symmetric matrix each with its mirror image.</summary>
    /// <exception cref="DatasetException">A line breaks the format, or there are too few or too many.</exception>
    public List<SparseMatrix.Entry> Read()
    {
        if (header.Format == MatrixMarketFormat.Coordinate) {
            ReadCoordinates();
        } else {
            ReadArray();
        }
        if (_read < header.Entries) {
            throw lines.Error($"the file ends after {_read} entries, but its size line promises {header.Entries}");
        }
        return _entries;
    }

    /// <summary>One entry a line: row, column and, unless it is a pattern, the number.</summary>
    private void ReadCoordinates()
    {
        bool isPattern = header.Field == MatrixMarketField.Pattern;
        string rule = isPattern ? "an entry of a pattern is 'ROW COLUMN'" : "an entry is 'ROW COLUMN NUMBER'";
        while (lines.MoveNext()) {
            ReadOnlySpan<char> rest = lines.Current;
            ReadOnlySpan<char> row = NextWord(ref rest), column = NextWord(ref rest);
            ReadOnlySpan<char> number = isPattern ? "1" : NextWord(ref rest);
            if (number.IsEmpty || column.IsEmpty || !rest.IsWhiteSpace()) {
                throw lines.Error($"{rule}, not {Quoted.Text(lines.Current.AsSpan().Trim())}");
            }
            Count();
            Add(Index(row, "row", header.Rows), Index(column, "column", header.Columns), Number(number));
        }
    }

    /// <summary>Numbers column by column, of a symmetric matrix from the diagonal down; lines do not matter.</summary>
    private void ReadArray()
    {
        int firstBelow = header.Symmetry == MatrixMarketSymmetry.SkewSymmetric ? 1 : 0;
        bool isGeneral = header.Symmetry == MatrixMarketSymmetry.General;
        long row = isGeneral ? 0 : firstBelow, column = 0;
        while (lines.MoveNext()) {
            ReadOnlySpan<char> rest = lines.Current;
            for (ReadOnlySpan<char> word = NextWord(ref rest); !word.IsEmpty; word = NextWord(ref rest)) {
                Count();
                Add(row, column, Number(word));
                row++;
                if (row == header.Rows) {
                    column++;
                    row = isGeneral ? 0 : column + firstBelow;
                }
            }
        }
    }

    private void Count()
    {
        if (_read == header.Entries) {
            throw lines.Error($"there are more entries than the {header.Entries} of the size line");
        }
        _read++;
    }

    private void Add(long row, long column, double value)
    {
        _entries.Add(new SparseMatrix.Entry(row, column, value));
        if (header.Symmetry == MatrixMarketSymmetry.General) {
            return;
        }
        int triangle = Math.Sign(column - row);
        if (triangle == 0) {
            if (header.Symmetry == MatrixMarketSymmetry.SkewSymmetric && value != 0) {
                throw lines.Error(FormattableString.Invariant(
                    $"the diagonal of a skew-symmetric matrix is 0, but entry ({row + 1}, {column + 1}) is {value}"));
            }
            return;
        }
        // Taking both triangles would count their entries twice.
        if (triangle == -_triangle) {
            throw lines.Error(
                $"a symmetric matrix lists one triangle, but entry ({row + 1}, {column + 1}) is across the diagonal "
                + "from those before it");
        }
        _triangle = triangle;
        double mirrored = header.Symmetry == MatrixMarketSymmetry.SkewSymmetric ? -value : value;
        _entries.Add(new SparseMatrix.Entry(column, row, mirrored));
    }

    private long Index(ReadOnlySpan<char> word, string name, long count)
    {
        if (!long.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long index)) {
            throw lines.Error($"the {name} {Quoted.Text(word)} is not a whole number");
        }
        if (index < 1 || index > count) {
            throw lines.Error($"the {name} {Quoted.Plain(word)} is not between 1 and {count}");
        }
        return index - 1;
    }

    private double Number(ReadOnlySpan<char> word)
    {
        if (header.Field == MatrixMarketField.Integer && !IsInteger(word)) {
            throw lines.Error($"{Quoted.Text(word)} is not an integer");
        }
        if (!double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)) {
            throw lines.Error($"{Quoted.Text(word)} is not a number");
        }
        if (!double.IsFinite(value)) {
            throw lines.Error($"{Quoted.Text(word)} is not a finite number");
        }
        return value;
    }

    private static bool IsInteger(ReadOnlySpan<char> word)
        => !word.TrimStart("+-").IsEmpty && !word.TrimStart("+-").ContainsAnyExceptInRange('0', '9');

    /// <summary>
    /// The next run of characters that are not white space, empty at the end; <paramref name="rest"/> is what follows.
    /// </summary>
    private static ReadOnlySpan<char> NextWord(ref ReadOnlySpan<char> rest)
    {
        rest = rest.TrimStart();
        int length = 0;
        while (length < rest.Length && !char.IsWhiteSpace(rest[length])) {
            length++;
        }
        ReadOnlySpan<char> word = rest[..length];
        rest = rest[length..];
        return word;
    }
}
