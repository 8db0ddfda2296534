using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Fuzz;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

public class FuzzTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    private static IEnumerable<string> Names => FuzzReaders.All.Select(reader => reader.Name);

    [TestCaseSource(nameof(Names))]
    public void A_valid_input_is_accepted(string name)
    {
        FuzzReader reader = FuzzReaders.All.Single(reader => reader.Name == name);
        for (int input = 0; input < reader.Inputs; input++) {
            string path = Directory.CreateDirectory(_folder[$"{input}"]).FullName;
            reader.Write(path, input);
            if (name == "run-folder-started") { // a run that has not ended, which is refused
                Assert.That(() => reader.Read(path), Throws.TypeOf<ExperimentException>().With.Message.Contains("unfinished"));
            } else {
                FuzzOutcome outcome = FuzzCase.Run(reader, path);
                Assert.That((outcome.Failure, outcome.IsAccepted), Is.EqualTo(((string?)null, true)));
            }
        }
    }

    [Test]
    public void No_reader_fails_on_damaged_files()
    {
        (int code, string output, string error) = CommandLineTests.Run(["fuzz", "--cases", "400", "--seed", "5", "--out", _folder["out"]]);
        Assert.That(code, Is.Zero, output);
        Assert.That(error, Is.Empty);
        JsonNode figures = JsonNode.Parse(File.ReadAllText(_folder["out/summary.json"]))!["figures"]!;
        Assert.That(Number(figures, "cases"), Is.EqualTo(400));
        Assert.That(Number(figures, "failures"), Is.Zero);
        Assert.That(Number(figures, "refused"), Is.InRange(150, 390)); // the damage is felt, and not by all
        foreach (FuzzReader reader in FuzzReaders.All) {
            Assert.That(Number(figures, reader.Name.Replace('-', '_') + "_cases"), Is.AtLeast(400 / FuzzReaders.All.Count));
        }
        Assert.That(Directory.Exists(_folder["out/temporary"]), Is.False);
    }

    [Test]
    public void Every_planted_mistake_is_found_and_named_by_seed_and_case()
    {
        string[] sound = ["accepts", "refuses"];
        int count = PlantedReaders.All.Count;
        (int code, _, string error) = CommandLineTests.Run(
            ["fuzz", FuzzExperiment.PlantedOption, "--cases", $"{count}", "--seed", "9", "--out", _folder["out"]]);
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error.TrimEnd(), Is.EqualTo($"{count - sound.Length} of {count} cases failed; the first is repeated by: fuzz --seed 9 --case 2"));
        JsonNode figures = JsonNode.Parse(File.ReadAllText(_folder["out/summary.json"]))!["figures"]!;
        foreach (FuzzReader reader in PlantedReaders.All) {
            Assert.That(Number(figures, reader.Name.Replace('-', '_') + "_failures"), Is.EqualTo(sound.Contains(reader.Name) ? 0 : 1), reader.Name);
        }
        JsonNode[] lines = [.. File.ReadAllLines(_folder["out/metrics.jsonl"]).Select(line => JsonNode.Parse(line)!)];
        Says("null-reference", "threw NullReferenceException");
        Says("undeclared", "threw FormatException");
        Says("memory", "MB");
        Says("many-small", "MB");
        Says("native-memory", "MB");
        Says("leak", "left 1 tensors");
        Says("crash", "ended the process");
        Says("loop", "did not end within");

        void Says(string reader, string what) => Assert.That(
            lines.Single(line => line["reader"]!.GetValue<string>() == reader)["what"]!.GetValue<string>(), Does.Contain(what));
    }

    [Test]
    public void A_case_is_repeated_by_its_number_and_its_files_are_kept()
    {
        for (int i = 0; i < 2; i++) {
            (int code, _, _) = CommandLineTests.Run(
                ["fuzz", FuzzExperiment.PlantedOption, "--seed", "9", "--case", "2", "--out", _folder[$"out{i}"]]);
            Assert.That(code, Is.EqualTo(1));
        }
        byte[] kept = File.ReadAllBytes(_folder["out0/case-2/file.txt"]);
        Assert.That(File.ReadAllBytes(_folder["out1/case-2/file.txt"]), Is.EqualTo(kept));
        Assert.That(kept, Is.Not.EqualTo("valid"u8.ToArray()));
    }

    [Test]
    public void The_damage_follows_from_the_seed_and_differs_from_case_to_case()
    {
        byte[] content = "%%MatrixMarket matrix array real general\n2 1\n1.5\n2.5\n"u8.ToArray();
        byte[][] Damaged(long seed) => [.. Enumerable.Range(0, 200).Select(i => Mutation.Of(content, [content[..9]], Seeds.Managed(seed, "test", i)))];
        byte[][] first = Damaged(1);
        Assert.That(Damaged(1), Is.EqualTo(first));
        Assert.That(Damaged(2), Is.Not.EqualTo(first));
        Assert.That(first.Count(damaged => !damaged.AsSpan().SequenceEqual(content)), Is.AtLeast(150));
        Assert.That(first.DistinctBy(Convert.ToHexString).Count(), Is.AtLeast(120));
    }

    private static double Number(JsonNode figures, string name) => figures[name]!.GetValue<double>();
}
