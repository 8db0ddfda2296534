using System.Globalization;

namespace LsmrTorch.Datasets;

internal enum MatrixMarketFormat
{
    Coordinate,
    Array,
}

internal enum MatrixMarketField
{
    Real,
    Integer,
    Pattern,
}

internal enum MatrixMarketSymmetry
{
    General,
    Symmetric,
    SkewSymmetric,
}

/// <summary>What the banner and the size line of a MatrixMarket file say; Entries counts what the file lists.</summary>
internal sealed record MatrixMarketHeader(
    MatrixMarketFormat Format,
    MatrixMarketField Field,
    MatrixMarketSymmetry Symmetry,
    long Rows,
    long Columns,
    long Entries)
{
    private const string Banner = "%%MatrixMarket";
    private const int MostWords = 64; // of a line that is taken apart; what is beyond stays one word

    /// <summary>Reads the banner, the comments, and the size line.</summary>
    /// <exception cref="DatasetException">One of them is missing, or says what is not supported.</exception>
    public static MatrixMarketHeader Read(MatrixMarketLines lines)
    {
        string[] words = lines.MoveNextLine() ? Words(lines.Current) : [];
        if (words.Length == 0 || !words[0].Equals(Banner, StringComparison.OrdinalIgnoreCase)) {
            throw lines.Error($"the first line of a MatrixMarket file begins with {Banner}");
        }
        if (words.Length != 5) {
            throw lines.Error(
                $"the banner has {words.Length} words, but it is '{Banner} matrix FORMAT FIELD SYMMETRY'");
        }
        Choose(lines, "object", words[1], ("matrix", 0));
        var format = Choose(lines, "format", words[2],
            ("coordinate", MatrixMarketFormat.Coordinate), ("array", MatrixMarketFormat.Array));
        var field = Choose(lines, "field", words[3],
            ("real", MatrixMarketField.Real), ("integer", MatrixMarketField.Integer),
            ("pattern", MatrixMarketField.Pattern));
        var symmetry = Choose(lines, "symmetry", words[4],
            ("general", MatrixMarketSymmetry.General), ("symmetric", MatrixMarketSymmetry.Symmetric),
            ("skew-symmetric", MatrixMarketSymmetry.SkewSymmetric));
        if (field == MatrixMarketField.Pattern && format == MatrixMarketFormat.Array) {
            throw lines.Error("a pattern has the format coordinate, not array");
        }
        if (field == MatrixMarketField.Pattern && symmetry == MatrixMarketSymmetry.SkewSymmetric) {
            throw lines.Error("a pattern is general or symmetric, not skew-symmetric");
        }
        return ReadSize(lines, format, field, symmetry);
    }

    private static MatrixMarketHeader ReadSize(
        MatrixMarketLines lines, MatrixMarketFormat format, MatrixMarketField field, MatrixMarketSymmetry symmetry)
    {
        bool isCoordinate = format == MatrixMarketFormat.Coordinate;
        string rule = isCoordinate ? "the size line is 'ROWS COLUMNS ENTRIES'" : "the size line is 'ROWS COLUMNS'";
        if (!lines.MoveNext()) {
            throw lines.Error($"{rule}, but the file ends before it");
        }
        string[] words = Words(lines.Current);
        if (words.Length != (isCoordinate ? 3 : 2)) {
            throw lines.Error($"{rule}, but it has {words.Length} numbers");
        }
        var sizes = new long[words.Length];
        for (int i = 0; i < words.Length; i++) {
            if (!long.TryParse(words[i], NumberStyles.None, CultureInfo.InvariantCulture, out sizes[i])) {
                throw lines.Error($"{rule} in whole numbers of at least 0, but it has {Quoted.Text(words[i])}");
            }
        }
        (long rows, long columns) = (sizes[0], sizes[1]);
        if (symmetry != MatrixMarketSymmetry.General && rows != columns) {
            throw lines.Error($"a symmetric matrix is square, but it has {rows} rows and {columns} columns");
        }
        Int128 entries = isCoordinate ? sizes[2] : ListedByArray(symmetry, rows, columns);
        int copies = symmetry == MatrixMarketSymmetry.General ? 1 : 2;
        if (copies * entries > Array.MaxLength) {
            throw lines.Error($"{entries} entries are more than can be held");
        }
        return new MatrixMarketHeader(format, field, symmetry, rows, columns, (long)entries);
    }

    /// <summary>How many numbers an array lists: all, those on and below the diagonal, or those below it.</summary>
    private static Int128 ListedByArray(MatrixMarketSymmetry symmetry, Int128 rows, Int128 columns) => symmetry switch {
        MatrixMarketSymmetry.General => rows * columns,
        MatrixMarketSymmetry.Symmetric => rows * (rows + 1) / 2,
        _ => rows * (rows - 1) / 2,
    };

    private static T Choose<T>(
        MatrixMarketLines lines, string name, string word, params (string Word, T Value)[] choices)
    {
        foreach ((string choice, T value) in choices) {
            if (word.Equals(choice, StringComparison.OrdinalIgnoreCase)) {
                return value;
            }
        }
        string supported = string.Join(", ", choices.Select(choice => choice.Word));
        throw lines.Error($"the {name} {Quoted.Text(word)} is not supported, only {supported}");
    }

    private static string[] Words(string line) => line.Split((char[]?)null, MostWords, StringSplitOptions.RemoveEmptyEntries);
}
