using LsmrTorch.Datasets;
using NUnit.Framework;

namespace LsmrTorch.Tests.Datasets;

public class MatrixMarketErrorTests
{
    private const string General = "%%MatrixMarket matrix coordinate real general\n";
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [TestCase("", 1, "the first line of a MatrixMarket file begins with %%MatrixMarket")]
    [TestCase("2 2 1\n1 1 1", 1, "the first line of a MatrixMarket file begins with %%MatrixMarket")]
    [TestCase("%%MatrixMarket matrix array real\n1 1\n1", 1, "the banner has 4 words")]
    [TestCase("%%MatrixMarket vector array real general\n1\n1", 1, "the object 'vector' is not supported, only matrix")]
    [TestCase("%%MatrixMarket matrix dense real general\n1 1\n1",
        1, "the format 'dense' is not supported, only coordinate, array")]
    [TestCase("%%MatrixMarket matrix array complex general\n1 1\n1 0",
        1, "the field 'complex' is not supported, only real, integer, pattern")]
    [TestCase("%%MatrixMarket matrix array real hermitian\n1 1\n1", 1, "the symmetry 'hermitian' is not supported")]
    [TestCase("%%MatrixMarket matrix array pattern general\n1 1\n1", 1, "a pattern has the format coordinate")]
    [TestCase("%%MatrixMarket matrix coordinate pattern skew-symmetric\n2 2 1\n2 1",
        1, "a pattern is general or symmetric")]
    [TestCase(General, 1, "but the file ends before it")]
    [TestCase(General + "% only a comment\n\n", 3, "but the file ends before it")]
    [TestCase(General + "2 2\n1 1 1", 2, "the size line is 'ROWS COLUMNS ENTRIES', but it has 2 numbers")]
    [TestCase(General + "2 -2 1\n1 1 1", 2, "whole numbers of at least 0, but it has '-2'")]
    [TestCase(General + "2 2.5 1\n1 1 1", 2, "but it has '2.5'")]
    [TestCase(General + "2 2 99999999999\n1 1 1", 2, "99999999999 entries are more than can be held")]
    [TestCase("%%MatrixMarket matrix array real general\n9000000000000000000 9000000000000000000\n1",
        2, "more than can be held")]
    [TestCase("%%MatrixMarket matrix array real symmetric\n2 3\n1",
        2, "a symmetric matrix is square, but it has 2 rows and 3 columns")]
    [TestCase(General + "2 2 1\n0 1 1", 3, "the row 0 is not between 1 and 2")]
    [TestCase(General + "2 2 1\n3 1 1", 3, "the row 3 is not between 1 and 2")]
    [TestCase(General + "2 2 1\n1 -1 1", 3, "the column -1 is not between 1 and 2")]
    [TestCase(General + "2 2 1\n1 1.0 1", 3, "the column '1.0' is not a whole number")]
    [TestCase(General + "2 2 1\n1 1", 3, "an entry is 'ROW COLUMN NUMBER', not '1 1'")]
    [TestCase(General + "2 2 1\n1 1 1 1", 3, "an entry is 'ROW COLUMN NUMBER', not '1 1 1 1'")]
    [TestCase("%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 1 1",
        3, "an entry of a pattern is 'ROW COLUMN'")]
    [TestCase(General + "2 2 3\n1 1 1\n% c\n2 2 1\n", 5, "the file ends after 2 entries, but its size line promises 3")]
    [TestCase(General + "2 2 1\n1 1 1\n\n2 2 1", 5, "there are more entries than the 1 of the size line")]
    [TestCase("%%MatrixMarket matrix array real general\n2 1\n1\n2\n3", 5, "there are more entries than the 2")]
    [TestCase("%%MatrixMarket matrix array real general\n2 1\n1", 3, "the file ends after 1 entries")]
    [TestCase(General + "2 2 1\n1 1 1,5", 3, "'1,5' is not a number")]
    [TestCase(General + "2 2 1\n1 1 abc", 3, "'abc' is not a number")]
    [TestCase(General + "2 2 1\n1 1 NaN", 3, "'NaN' is not a finite number")]
    [TestCase(General + "2 2 1\n1 1 -Infinity", 3, "'-Infinity' is not a finite number")]
    [TestCase(General + "2 2 1\n1 1 1e999", 3, "'1e999' is not a finite number")]
    [TestCase("%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 1 1.5", 3, "'1.5' is not an integer")]
    [TestCase("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 2 1",
        3, "the diagonal of a skew-symmetric matrix is 0, but entry (2, 2) is 1")]
    [TestCase("%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n2 1 1\n1 3 1",
        4, "a symmetric matrix lists one triangle, but entry (1, 3)")]
    public void What_breaks_the_format_is_named_with_its_line(string text, int line, string reason)
    {
        string path = _folder.Write("bad.mtx", text);
        Assert.That(() => MatrixMarket.ReadMatrix(path),
            Throws.TypeOf<DatasetException>().With.Message.StartsWith($"{path}, line {line}: ")
                .And.Message.Contains(reason).And.Message.EndsWith("."));
        Assert.That(() => MatrixMarket.ReadVector(path), Throws.TypeOf<DatasetException>());
    }

    [TestCase("%%MatrixMarket matrix coordinate real general\n9000000000000 1 1\n1 1 1", "9000000000000")]
    public void More_rows_than_an_array_holds_are_refused(string text, string rows)
    {
        string path = _folder.Write("tall.mtx", text);
        Assert.That(() => MatrixMarket.ReadMatrix(path),
            Throws.TypeOf<DatasetException>().With.Message.StartsWith($"{path} has {rows} rows"));
        Assert.That(() => MatrixMarket.ReadVector(path),
            Throws.TypeOf<DatasetException>().With.Message.Contains($"{rows} numbers"));
    }

    [Test]
    public void Entries_of_one_place_whose_sum_overflows_are_refused()
    {
        string path = _folder.Write("sum.mtx", General + "2 1 2\n1 1 1.7e308\n1 1 1.7e308\n");
        Assert.That(() => MatrixMarket.ReadMatrix(path), Throws.TypeOf<DatasetException>().With.Message.Contains("whose sum is not finite"));
        Assert.That(() => MatrixMarket.ReadVector(path), Throws.TypeOf<DatasetException>().With.Message.Contains("whose sum is not finite"));
    }

    [Test]
    public void A_missing_file_is_named()
        => Assert.That(() => MatrixMarket.ReadMatrix(_folder["nowhere.mtx"]),
            Throws.TypeOf<DatasetException>().With.Message.EqualTo($"{_folder["nowhere.mtx"]} does not exist."));

    [Test]
    public void A_folder_is_not_read_as_a_file()
        => Assert.That(() => MatrixMarket.ReadVector(_folder.FullName),
            Throws.TypeOf<DatasetException>().With.Message.StartsWith($"{_folder.FullName} cannot be read"));

    [Test]
    public void Damaged_compression_is_an_error_of_the_file()
    {
        File.WriteAllBytes(_folder["bad.mtx.gz"], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
        Assert.That(() => MatrixMarket.ReadMatrix(_folder["bad.mtx.gz"]),
            Throws.TypeOf<DatasetException>().With.Message.Contains("bad.mtx.gz"));
    }

    [Test]
    public void Compression_cut_short_does_not_pass_for_the_whole()
    {
        MatrixMarket.WriteVector(_folder["x.mtx.gz"], [.. Enumerable.Range(0, 5000).Select(k => 1.0 / (k + 1))]);
        byte[] bytes = File.ReadAllBytes(_folder["x.mtx.gz"]);
        File.WriteAllBytes(_folder["x.mtx.gz"], bytes[..(bytes.Length / 2)]);
        Assert.That(() => MatrixMarket.ReadVector(_folder["x.mtx.gz"]),
            Throws.TypeOf<DatasetException>().With.Message.Contains("x.mtx.gz"));
    }

    [TestCase(double.NaN, "NaN")]
    [TestCase(double.PositiveInfinity, "Infinity")]
    public void A_number_that_is_not_finite_is_not_written_and_the_older_file_stays(double value, string name)
    {
        string path = _folder.Write("x.mtx", "older");
        Assert.That(() => MatrixMarket.WriteVector(path, [1, value]),
            Throws.TypeOf<DatasetException>().With.Message.Contains($"x.mtx cannot be written: x[1] is {name}"));
        Assert.That(File.ReadAllText(path), Is.EqualTo("older"));
    }

    [TestCase("/dev/no-such-device")]
    [TestCase("/dev/../dev/no-such-device")]
    [TestCase("/proc/self/no-such-file")]
    public void A_name_among_the_devices_is_refused(string path)
    {
        if (OperatingSystem.IsWindows()) {
            Assert.Ignore("Windows has no such folders.");
        }
        Assert.That(() => MatrixMarket.WriteVector(path, [1]),
            Throws.TypeOf<DatasetException>().With.Message.Contains("it belongs to the system"));
    }

    [Test]
    public void A_vector_for_a_missing_folder_names_the_file()
    {
        string path = _folder["nowhere/x.mtx"];
        Assert.That(() => MatrixMarket.WriteVector(path, [1]), Throws.TypeOf<DatasetException>()
            .With.Message.EqualTo($"{path} cannot be written: its folder does not exist."));
    }

    [Test]
    public void Where_a_file_cannot_be_replaced_no_temporary_one_stays()
    {
        Directory.CreateDirectory(_folder["x.mtx"]);
        Assert.That(() => MatrixMarket.WriteVector(_folder["x.mtx"], [1]),
            Throws.TypeOf<DatasetException>().With.Message.Contains("x.mtx cannot be written"));
        Assert.That(_folder.Files, Is.Empty);
    }
}
