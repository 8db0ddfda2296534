using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using LsmrTorch.Datasets;
using NUnit.Framework;

namespace LsmrTorch.Tests.Datasets;

public class MatrixMarketTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Coordinates_become_rows_sorted_by_column_with_sums_and_zeros_kept()
    {
        SparseMatrix matrix = Read("""
            %%MatrixMarket matrix coordinate real general
            % a comment

            3 4 7
            3 4 1e-3
              1   3   2.5
            1 1 -1.25E+2
            % another
            3	1	+.5

            1 3 0.5
            3 2 0
            3 4 7.
            """);
        Assert.Multiple(() => {
            Assert.That((matrix.Rows, matrix.Columns), Is.EqualTo((3L, 4L)));
            Assert.That(matrix.RowStarts, Is.EqualTo(new long[] { 0, 2, 2, 5 }));
            Assert.That(matrix.ColumnIndices, Is.EqualTo(new long[] { 0, 2, 0, 1, 3 }));
            Assert.That(matrix.Values, Is.EqualTo(new[] { -125, 3, 0.5, 0, 7.001 }));
        });
    }

    [TestCase("coordinate real general\n2 3 2\n1 2 1.5\n2 3 -4", new double[] { 0, 1.5, 0, 0, 0, -4 })]
    [TestCase("coordinate integer general\n2 3 2\n1 2 +15\n2 3 -4", new double[] { 0, 15, 0, 0, 0, -4 })]
    [TestCase("coordinate pattern general\n2 3 2\n1 2\n2 3", new double[] { 0, 1, 0, 0, 0, 1 })]
    [TestCase("coordinate real symmetric\n2 2 2\n1 1 3\n2 1 5", new double[] { 3, 5, 5, 0 })]
    [TestCase("coordinate real symmetric\n2 2 2\n1 1 3\n1 2 5", new double[] { 3, 5, 5, 0 })]
    [TestCase("coordinate pattern symmetric\n2 2 1\n2 1", new double[] { 0, 1, 1, 0 })]
    [TestCase("coordinate integer skew-symmetric\n2 2 1\n2 1 5", new double[] { 0, -5, 5, 0 })]
    [TestCase("array real general\n2 3\n1\n2\n3\n4\n5\n6", new double[] { 1, 3, 5, 2, 4, 6 })]
    [TestCase("array real general\n2 3\n1 2\n\n3 4 5\n6", new double[] { 1, 3, 5, 2, 4, 6 })]
    [TestCase("array real symmetric\n3 3\n1\n2\n3\n4\n5\n6", new double[] { 1, 2, 3, 2, 4, 5, 3, 5, 6 })]
    [TestCase("array integer skew-symmetric\n3 3\n1\n2\n3", new double[] { 0, -1, -2, 1, 0, -3, 2, 3, 0 })]
    [TestCase("ARRAY Real General\r\n1 1\r\n8\r\n", new double[] { 8 })]
    [TestCase("coordinate real general\n2 2 0", new double[] { 0, 0, 0, 0 })]
    [TestCase("coordinate real general\n0 0 0", new double[0])]
    public void Every_kind_of_file_gives_its_matrix(string text, double[] expected)
        => Assert.That(Dense(Read("%%MatrixMarket matrix " + text)), Is.EqualTo(expected));

    [Test]
    public void An_array_has_an_entry_at_every_place()
    {
        SparseMatrix matrix = Read("%%MatrixMarket matrix array real general\n2 2\n0\n1\n0\n0");
        Assert.That(matrix.ColumnIndices, Is.EqualTo(new long[] { 0, 1, 0, 1 }));
    }

    [TestCase("array real general\n3 1\n1\n2\n3", new double[] { 1, 2, 3 })]
    [TestCase("array real general\n1 3\n1\n2\n3", new double[] { 1, 2, 3 })]
    [TestCase("coordinate real general\n4 1 3\n4 1 7\n2 1 5\n4 1 1", new double[] { 0, 5, 0, 8 })]
    [TestCase("coordinate pattern general\n1 3 1\n1 2", new double[] { 0, 1, 0 })]
    [TestCase("array real general\n0 1", new double[0])]
    public void One_row_or_one_column_is_a_vector(string text, double[] expected)
    {
        string path = _folder.Write("x.mtx", "%%MatrixMarket matrix " + text);
        Assert.That(MatrixMarket.ReadVector(path), Is.EqualTo(expected));
    }

    [Test]
    public void A_matrix_is_no_vector()
    {
        string path = _folder.Write("a.mtx", "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4");
        Assert.That(() => MatrixMarket.ReadVector(path),
            Throws.TypeOf<DatasetException>()
                .With.Message.EqualTo($"{path} holds a matrix of 2 x 2, but a vector has one row or one column."));
    }

    [TestCase("x.mtx", false)]
    [TestCase("x.mtx.gz", true)]
    public void A_vector_comes_back_bit_for_bit(string name, bool isCompressed)
    {
        double[] x = [0.1, -1.0 / 3, 0, -0.0, double.Epsilon, double.MaxValue, -1e-300, Math.PI, 1e22, 123456789];
        MatrixMarket.WriteVector(_folder[name], x);
        double[] back = MatrixMarket.ReadVector(_folder[name]);
        Assert.Multiple(() => {
            Assert.That(Bits(back), Is.EqualTo(Bits(x)));
            Assert.That(File.ReadAllBytes(_folder[name])[0] == 0x1f, Is.EqualTo(isCompressed));
            Assert.That(_folder.Files, Is.EqualTo(new[] { name }));
        });
    }

    [Test]
    public void A_file_says_array_real_general()
    {
        MatrixMarket.WriteVector(_folder["x.mtx"], [1, 2.5]);
        Assert.That(File.ReadAllText(_folder["x.mtx"]),
            Is.EqualTo("%%MatrixMarket matrix array real general\n2 1\n1\n2.5\n"));
    }

    [Test]
    public void An_empty_vector_comes_back()
    {
        MatrixMarket.WriteVector(_folder["x.mtx"], []);
        Assert.That(MatrixMarket.ReadVector(_folder["x.mtx"]), Is.Empty);
    }

    [Test]
    public void Compression_is_known_by_its_bytes_and_not_by_the_name()
    {
        MatrixMarket.WriteVector(_folder["x.mtx.gz"], [1, 2]);
        File.Move(_folder["x.mtx.gz"], _folder["x.mtx"]);
        _folder.Write("plain.gz", "%%MatrixMarket matrix array real general\n1 1\n3");
        Assert.That(MatrixMarket.ReadVector(_folder["x.mtx"]), Is.EqualTo(new double[] { 1, 2 }));
        Assert.That(MatrixMarket.ReadVector(_folder["plain.gz"]), Is.EqualTo(new double[] { 3 }));
    }

    [Test]
    public void Numbers_have_a_point_under_a_culture_of_commas()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        var commas = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        commas.NumberFormat.NumberDecimalSeparator = ",";
        commas.NumberFormat.NumberGroupSeparator = ".";
        commas.NumberFormat.NegativeSign = "\u2212";
        try {
            CultureInfo.CurrentCulture = commas;
            MatrixMarket.WriteVector(_folder["x.mtx"], [-1.5, 2000.25]);
            Assert.That(File.ReadAllText(_folder["x.mtx"]), Does.EndWith("\n2 1\n-1.5\n2000.25\n"));
            Assert.That(MatrixMarket.ReadVector(_folder["x.mtx"]), Is.EqualTo(new[] { -1.5, 2000.25 }));
            SparseMatrix matrix = Read("%%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 -1.5");
            Assert.That(matrix.Values, Is.EqualTo(new[] { -1.5 }));
        } finally {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Test]
    public void A_million_entries_are_read_in_seconds()
    {
        var text = new StringBuilder("%%MatrixMarket matrix coordinate real general\n1000 1000 1000000\n");
        for (int k = 0; k < 1_000_000; k++) {
            text.Append(CultureInfo.InvariantCulture, $"{k * 7 % 1000 + 1} {k / 1000 + 1} {0.001 * k:E15}\n");
        }
        _folder.Write("large.mtx", text.ToString());
        var watch = Stopwatch.StartNew();
        SparseMatrix matrix = MatrixMarket.ReadMatrix(_folder["large.mtx"]);
        TestContext.Out.WriteLine($"{watch.ElapsedMilliseconds} ms");
        Assert.That(matrix.Values, Has.Length.EqualTo(1_000_000));
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(10)));
    }

    [TestCase("well1033", 1033, 320, 4732)]
    [TestCase("illc1033", 1033, 320, 4732)]
    [TestCase("well1850", 1850, 712, 8758)]
    public void Real_matrices_have_their_published_sizes(string name, long rows, long columns, int entries)
    {
        SparseMatrix matrix = MatrixMarket.ReadMatrix(SharedData.Require($"matrices/{name}.mtx.gz"));
        double[] b = MatrixMarket.ReadVector(SharedData.Require($"matrices/{name}_rhs1.mtx.gz"));
        Assert.Multiple(() => {
            Assert.That((matrix.Rows, matrix.Columns), Is.EqualTo((rows, columns)));
            Assert.That(matrix.Values, Has.Length.EqualTo(entries));
            Assert.That(matrix.ColumnIndices, Has.Length.EqualTo(entries));
            Assert.That(matrix.RowStarts[^1], Is.EqualTo(entries));
            Assert.That(b, Has.Length.EqualTo(rows));
        });
    }

    private static long[] Bits(double[] x) => [.. x.Select(BitConverter.DoubleToInt64Bits)];

    private SparseMatrix Read(string text) => MatrixMarket.ReadMatrix(_folder.Write("a.mtx", text));

    /// <summary>All places of a matrix, row by row.</summary>
    private static double[] Dense(SparseMatrix matrix)
    {
        var dense = new double[matrix.Rows * matrix.Columns];
        for (long i = 0; i < matrix.Rows; i++) {
            for (long k = matrix.RowStarts[i]; k < matrix.RowStarts[i + 1]; k++) {
                dense[i * matrix.Columns + matrix.ColumnIndices[k]] = matrix.Values[k];
            }
        }
        return dense;
    }
}
