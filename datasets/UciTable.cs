using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Datasets;

/// <summary>
/// A table for regression in the format in which the UCI sets are commonly kept: data.csv.gz, a row for each example with the target last,
/// and test_mask.csv.gz, a row for each example and a column for each split, 1 where the example is for testing.
/// </summary>
public sealed class UciTable
{
    internal const string DataFile = "data.csv.gz", MaskFile = "test_mask.csv.gz";

    private readonly string _source;
    private readonly double[][] _rows; // inputs, then the target
    private readonly bool[][] _isTest; // for each example, for each split

    internal UciTable(string source, double[][] rows, bool[][] isTest)
    {
        (_source, _rows, _isTest) = (source, rows, isTest);
        Check();
    }

    /// <summary>The number of examples.</summary>
    public int Count => _rows.Length;

    /// <summary>The number of inputs of each.</summary>
    public int Inputs => _rows[0].Length - 1;

    /// <summary>The number of splits into training and test examples.</summary>
    public int Splits => _isTest[0].Length;

    internal IReadOnlyList<double[]> Rows => _rows;

    internal IReadOnlyList<bool[]> IsTest => _isTest;

    /// <summary>The table in the two files of a folder, gzip or plain, with points as decimal marks whatever the culture.</summary>
    /// <exception cref="DatasetException">
    /// A file is missing or cannot be read; an entry is no finite number; rows differ in length; the mask has another number of rows
    /// than the data, or an entry that is neither 0 nor 1; a split has no training or no test example; a column has one value throughout.
    /// </exception>
    public static UciTable Load(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (!Directory.Exists(folder)) {
            throw new DatasetException($"The folder {Quoted.Path(folder)} does not exist.");
        }
        string data = Path.Combine(folder, DataFile), mask = Path.Combine(folder, MaskFile);
        double[][] rows = CommaSeparated.Read(data, Number), masks = CommaSeparated.Read(mask, Bit);
        if (rows[0].Length < 2) {
            throw new DatasetException($"{Quoted.Path(data)} has one column, but a table has at least one input and a target.");
        }
        if (masks.Length != rows.Length) {
            throw new DatasetException(string.Create(CultureInfo.InvariantCulture,
                $"{Quoted.Path(mask)} has {masks.Length} rows, but {Quoted.Path(data)} has {rows.Length}."));
        }
        return new UciTable(folder, rows, [.. masks.Select(row => row.Select(bit => bit == 1).ToArray())]);

        static double Number(ReadOnlySpan<char> text) =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
                ? value : throw new FormatException($"{Quoted.Text(text)} is no finite number");

        static double Bit(ReadOnlySpan<char> text) =>
            text.Trim() switch { "0" => 0, "1" => 1, _ => throw new FormatException($"a mask is 0 or 1, but is {Quoted.Text(text)}") };
    }

    /// <summary>
    /// The training and test examples of a split, new tensors in float64 on the CPU. Inputs and targets are shifted and scaled to mean 0 and
    /// standard deviation 1 of the training examples; nothing of a test example enters into that.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no split of this number.</exception>
    /// <exception cref="DatasetException">
    /// A column has one value, or nearly, in all training examples of the split, or a test example is so far from them that
    /// its standardised value is no double.
    /// </exception>
    public UciSplit Split(int number)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(number);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(number, Splits);
        double[][] train = [.. _rows.Where((_, i) => !_isTest[i][number])], test = [.. _rows.Where((_, i) => _isTest[i][number])];
        int columns = Inputs + 1;
        ColumnScale[] scales = [.. Enumerable.Range(0, columns).Select(j => ScaleOf(train, j, number))];
        return new UciSplit(Standardised(train, scales, number), Standardised(test, scales, number), Inputs);
    }

    private ColumnScale ScaleOf(double[][] train, int column, int split)
    {
        double[] values = [.. train.Select(row => row[column])];
        var scale = ColumnScale.Of(values);
        if (scale.Deviation > 1e-12 * Math.Abs(scale.Mean)) {
            return scale;
        }
        throw Unstandardised(column, values.All(value => value == values[0])
            ? string.Create(CultureInfo.InvariantCulture, $"is {values[0]} in every training example of split {split}")
            : string.Create(CultureInfo.InvariantCulture,
                $"varies by less than 1e-12 of its values, which are near {values[0]}, in the training examples of split {split}"));
    }

    private double[] Standardised(double[][] rows, ColumnScale[] scales, int split)
    {
        var all = new double[rows.Length * scales.Length];
        for (int i = 0; i < rows.Length; i++) {
            for (int j = 0; j < scales.Length; j++) {
                double value = scales[j].Standardised(rows[i][j]);
                all[(i * scales.Length) + j] = double.IsFinite(value) ? value : throw Unstandardised(j,
                    string.Create(CultureInfo.InvariantCulture,
                        $"is {rows[i][j]} in an example of split {split}, which is out of reach of its training examples"));
            }
        }
        return all;
    }

    private DatasetException Unstandardised(int column, string why) => new(string.Create(CultureInfo.InvariantCulture,
        $"{Quoted.Path(_source)}: column {column + 1} {why}, so it cannot be standardised."));

    private void Check()
    {
        for (int j = 0; j <= Inputs; j++) {
            double first = _rows[0][j];
            if (_rows.All(row => row[j] == first)) {
                throw new DatasetException(string.Create(CultureInfo.InvariantCulture,
                    $"{Quoted.Path(_source)}: column {j + 1} is {first} in every row, so it says nothing and cannot be standardised."));
            }
        }
        for (int k = 0; k < Splits; k++) {
            int tests = _isTest.Count(row => row[k]);
            if (tests == 0 || tests == Count) {
                throw new DatasetException($"{Quoted.Path(_source)}: split {k} has {(tests == 0 ? "no test" : "no training")} example.");
            }
        }
    }
}

/// <summary>Standardised training and test examples. Disposing of it frees the four tensors.</summary>
public sealed class UciSplit : IDisposable
{
    internal UciSplit(double[] train, double[] test, int inputs)
    {
        using var scope = NewDisposeScope();
        (TrainInputs, TrainTargets) = Tensors(train, inputs);
        (TestInputs, TestTargets) = Tensors(test, inputs);
        scope.MoveToOuter(TrainInputs, TrainTargets, TestInputs, TestTargets);
    }

    /// <summary>(n, d).</summary>
    public Tensor TrainInputs { get; }

    /// <summary>(n).</summary>
    public Tensor TrainTargets { get; }

    /// <summary>(m, d).</summary>
    public Tensor TestInputs { get; }

    /// <summary>(m).</summary>
    public Tensor TestTargets { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        TrainInputs.Dispose();
        TrainTargets.Dispose();
        TestInputs.Dispose();
        TestTargets.Dispose();
    }

    private static (Tensor Inputs, Tensor Targets) Tensors(double[] rows, int inputs)
    {
        Tensor all = tensor(rows).view(-1, inputs + 1);
        return (all.narrow(1, 0, inputs).contiguous(), all.select(1, inputs).contiguous());
    }
}
