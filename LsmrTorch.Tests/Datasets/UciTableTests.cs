using System.Globalization;
using System.IO.Compression;
using LsmrTorch.Datasets;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Datasets;

public class UciTableTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Written_tables_load_as_they_were_made_in_any_culture()
    {
        CultureInfo culture = CultureInfo.CurrentCulture;
        try {
            CultureInfo.CurrentCulture = CultureInfo.GetCultureInfo("de-DE");
            UciGenerator.Write(_folder["set"], 50, 3, 0.1, 7);
            UciTable loaded = UciTable.Load(_folder["set"]), made = UciGenerator.Generate(50, 3, 0.1, 7);
            Assert.That((loaded.Count, loaded.Inputs, loaded.Splits), Is.EqualTo((50, 3, 10)));
            using UciSplit one = loaded.Split(4), two = made.Split(4);
            Assert.That(Numbers(one), Is.EqualTo(Numbers(two)));
        } finally {
            CultureInfo.CurrentCulture = culture;
        }
    }

    [Test]
    public void A_split_is_standardised_by_its_training_examples_alone()
    {
        UciTable table = Table("1,10\n3,30\n5,20\n100,1000\n", "0,1\n0,0\n0,0\n1,0\n");
        using UciSplit split = table.Split(0);
        // Training: 1, 3, 5 with mean 3 and standard deviation √(8/3); 10, 30, 20 with 20 and √(200/3).
        double input = Math.Sqrt(8.0 / 3), target = Math.Sqrt(200.0 / 3);
        Assert.That(Problems.Values(split.TrainInputs), Is.EqualTo(new[] { -2 / input, 0, 2 / input }).Within(1e-14));
        Assert.That(Problems.Values(split.TrainTargets), Is.EqualTo(new[] { -10 / target, 10 / target, 0 }).Within(1e-14));
        Assert.That(Problems.Values(split.TestInputs), Is.EqualTo(new[] { 97 / input }).Within(1e-12));
        Assert.That(Problems.Values(split.TestTargets), Is.EqualTo(new[] { 980 / target }).Within(1e-12));
        Assert.That(split.TrainInputs.shape, Is.EqualTo(new long[] { 3, 1 }));
        Assert.That(() => table.Split(2), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [TestCase("1,2\n3,x\n", "0\n1\n", "line 2: in column 2 'x' is no finite number")]
    [TestCase("1,2\n3,NaN\n", "0\n1\n", "line 2: in column 2 'NaN' is no finite number")]
    [TestCase("1,2\n3,1e999\n", "0\n1\n", "'1e999' is no finite number")]
    [TestCase("1,2\n3\n", "0\n1\n", "line 2: there are 1 entries where the first row has 2")]
    [TestCase("1\n2\n", "0\n1\n", "has one column")]
    [TestCase("", "0\n", "is empty")]
    [TestCase("1,2\n3,4\n", "0\n1\n0\n", "has 3 rows, but")]
    [TestCase("1,2\n3,4\n", "0\n2\n", "a mask is 0 or 1, but is '2'")]
    [TestCase("1,2\n3,4\n", "0,0\n1,0\n", "split 1 has no test example")]
    [TestCase("1,2\n3,4\n", "0,1\n1,1\n", "split 1 has no training example")]
    [TestCase("1,2\n1,4\n", "0\n1\n", "column 1 is 1 in every row")]
    public void A_table_that_breaks_a_rule_is_refused_with_a_sentence(string data, string mask, string sentence) =>
        Assert.That(() => Table(data, mask), Throws.InstanceOf<DatasetException>().With.Message.Contains(sentence));

    [Test]
    public void A_column_that_is_constant_in_training_is_refused()
    {
        UciTable table = Table("1,2\n1,4\n3,5\n", "0\n0\n1\n");
        Assert.That(() => table.Split(0), Throws.InstanceOf<DatasetException>().With.Message.Contains("column 1 is 1 in every training example of split 0"));
    }

    // Scaled by a power of two nothing is rounded, so that the standardised numbers are the same to the bit.
    [TestCase(660)]
    [TestCase(1000)]
    [TestCase(-660)]
    [TestCase(-1010)]
    public void The_unit_of_a_column_does_not_matter(int exponent)
    {
        double[] column = [1.25, -3.5, 2, 7.75, 0.5], target = [3, 1, 4, 1, 5];
        using UciSplit plain = Of(column).Split(0), scaled = Of([.. column.Select(value => Math.ScaleB(value, exponent))]).Split(0);
        Assert.That(Numbers(scaled), Is.EqualTo(Numbers(plain)));
        Assert.That(Numbers(plain), Is.All.InRange(-10, 10));

        UciTable Of(double[] values) => Table(
            string.Concat(values.Zip(target, (value, y) => FormattableString.Invariant($"{value:R},{y}\n"))), "0\n0\n0\n0\n1\n");
    }

    [TestCase("1e200,1\n2e200,2\n3e200,3\n", "0\n0\n1\n")]
    [TestCase("1e-200,1\n2e-200,2\n3e-200,3\n", "0\n0\n1\n")]
    [TestCase("1.7e308,1\n-1.7e308,2\n-5.1e308,3\n", "0\n0\n1\n", "'-5.1e308' is no finite number")]
    [TestCase("0.5e308,1\n1e308,2\n1.5e308,3\n", "0\n0\n1\n")]
    public void Huge_and_tiny_values_are_standardised_rightly(string data, string mask, string? sentence = null)
    {
        if (sentence is not null) {
            Assert.That(() => Table(data, mask), Throws.InstanceOf<DatasetException>().With.Message.Contains(sentence));
            return;
        }
        using UciSplit split = Table(data, mask).Split(0);
        Assert.That(Problems.Values(split.TrainInputs), Is.EqualTo(new double[] { -1, 1 }).Within(1e-12)); // mean 1.5, deviation 0.5
        Assert.That(Problems.Values(split.TestInputs), Is.EqualTo(new double[] { 3 }).Within(1e-12));
    }

    [Test]
    public void A_test_example_out_of_reach_of_the_training_examples_is_refused()
    {
        UciTable table = Table("1e-200,1\n2e-200,2\n1e200,3\n", "0\n0\n1\n");
        Assert.That(() => table.Split(0), Throws.InstanceOf<DatasetException>()
            .With.Message.Contains("column 1 is 1E+200 in an example of split 0, which is out of reach"));
    }

    [Test]
    public void A_column_that_hardly_varies_is_not_said_to_be_constant()
    {
        UciTable table = Table("1,2\n1.0000000000000002,4\n3,5\n", "0\n0\n1\n");
        Assert.That(() => table.Split(0), Throws.InstanceOf<DatasetException>().With.Message.Contains("column 1 varies by less than 1e-12 of its values"));
    }

    [Test]
    public void Missing_files_are_named()
    {
        Assert.That(() => UciTable.Load(_folder["nowhere"]), Throws.InstanceOf<DatasetException>().With.Message.Contains("nowhere does not exist"));
        _folder.Write("data.csv.gz", "1,2\n3,4\n");
        Assert.That(() => UciTable.Load(_folder.FullName), Throws.InstanceOf<DatasetException>().With.Message.Contains("test_mask.csv.gz does not exist"));
    }

    [Test]
    public void Real_tables_load()
    {
        using UciSplit split = UciTable.Load(SharedData.Require("uci/concrete")).Split(9);
        Assert.That((split.TrainInputs.shape, split.TestInputs.shape), Is.EqualTo((new long[] { 927, 8 }, new long[] { 103, 8 })));
        Assert.That(split.TrainTargets.square().mean().item<double>(), Is.EqualTo(1).Within(1e-12));
    }

    [Test]
    public void The_noise_of_a_generated_table_is_what_was_asked_for()
    {
        // The same function without and with noise: what differs has its standard deviation, to √(2/2000).
        double[] Targets(double noise)
        {
            UciGenerator.Write(_folder["set"], 2000, 4, noise, 3);
            using var reader = new StreamReader(new GZipStream(File.OpenRead(_folder["set/data.csv.gz"]), CompressionMode.Decompress));
            return [.. reader.ReadToEnd().TrimEnd().Split('\n').Select(line => double.Parse(line.Split(',')[^1], CultureInfo.InvariantCulture))];
        }
        double variance = Targets(0).Zip(Targets(0.5), (without, with) => (with - without) * (with - without)).Average();
        Assert.That(Math.Sqrt(variance), Is.EqualTo(0.5).Within(0.05));
    }

    [Test]
    public void Every_live_tensor_is_one_that_is_returned()
    {
        UciTable table = UciGenerator.Generate(30, 2, 0.1, 1);
        Check.LeavesNoTensors(() => table.Split(0).Dispose());
        using var scope = NewDisposeScope();
        Check.LeavesNoTensors(() => table.Split(0), 4);
    }

    private UciTable Table(string data, string mask)
    {
        _folder.Write("data.csv.gz", data);        // plain files are read under these names too
        _folder.Write("test_mask.csv.gz", mask);
        return UciTable.Load(_folder.FullName);
    }

    private static double[] Numbers(UciSplit split) =>
        [.. new[] { split.TrainInputs, split.TrainTargets, split.TestInputs, split.TestTargets }.SelectMany(Problems.Values)];
}
