using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>Whose a run's folder is, and what is refused rather than lost.</summary>
public class RunFolderTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Two_runs_at_once_are_refused_and_one_after_the_other_are_not()
    {
        using (RunFolder first = Started("run", 0)) {
            Refuses(() => Open("run", 0).Start(CPU, overwrite: true), "Another process is running in ");
            Refuses(() => Open("run", 0).Continue(), "Another process is running in ");
        }
        using RunFolder second = Open("run", 0);
        Assert.That(() => second.Start(CPU, overwrite: true), Throws.Nothing);
    }

    [Test]
    public void A_forgotten_resume_is_refused_and_the_checkpoint_stays()
    {
        Unfinished("run", 0);
        byte[] before = File.ReadAllBytes(_folder["run/checkpoint/latest.ckpt"]);
        Refuses(() => Started("run", 0), "holds an unfinished run: --resume goes on with it, --overwrite starts afresh");
        Refuses(() => Started("run", 1), "holds an unfinished run");
        Assert.That(File.ReadAllBytes(_folder["run/checkpoint/latest.ckpt"]), Is.EqualTo(before));
        Assert.That(Continued("run", 0)["epoch"]!.GetValue<int>(), Is.EqualTo(5));
        using RunFolder afresh = Open("run", 1);
        afresh.Start(CPU, overwrite: true);
        Assert.That(File.Exists(_folder["run/checkpoint/latest.ckpt"]), Is.False);
    }

    [Test]
    public void A_run_killed_before_its_first_checkpoint_starts_afresh_if_it_is_resumed_and_is_named_if_not()
    {
        Started("run", 0).Dispose();
        Refuses(() => Started("run", 0), "holds an unfinished run");
        using RunFolder resumed = Open("run", 0);
        Assert.That(resumed.Continue(), Is.Null);
        Assert.That(() => resumed.Start(CPU, resume: true), Throws.Nothing);
    }

    [Test]
    public void Resuming_without_a_checkpoint_does_not_empty_another_run()
    {
        Finished("run", 0);
        File.Delete(_folder["run/checkpoint/latest.ckpt"]);
        using RunFolder other = Open("run", 1);
        Assert.That(other.Continue(), Is.Null);
        Refuses(() => other.Start(CPU, resume: true), "holds a run with seed = 0, not 1");
        Assert.That(File.Exists(_folder["run/summary.json"]), Is.True);
    }

    [Test]
    public void A_finished_run_is_repeated_by_the_same_options_and_replaced_by_others_only_if_asked()
    {
        Finished("run", 0);
        Started("run", 0).Dispose();
        Finished("run", 0, overwrite: true);
        Refuses(() => Started("run", 1), "holds a run with seed = 0, not 1: --overwrite replaces it");
        using RunFolder replacing = Open("run", 1);
        Assert.That(() => replacing.Start(CPU, overwrite: true), Throws.Nothing);
        Assert.That(File.Exists(_folder["run/summary.json"]), Is.False);
    }

    [Test]
    public void A_finished_run_that_keeps_no_checkpoint_makes_room_for_its_own_experiment()
    {
        Finished("run", 0);
        File.Delete(_folder["run/checkpoint/latest.ckpt"]);
        using (var other = new RunFolder(_folder["run"], new JsonObject { ["experiment"] = "other" })) {
            Refuses(() => other.Start(CPU), "holds a run with experiment = \"tests\", not \"other\"");
        }
        Assert.That(() => Started("run", 1).Dispose(), Throws.Nothing);
    }

    [TestCase("seed")]
    [TestCase("experiment")]
    [TestCase("sizes")]
    [TestCase("data")]
    public void A_checkpoint_of_another_run_is_refused_whatever_config_says(string what)
    {
        Unfinished("one", 0);
        JsonObject other = Options(0);
        switch (what) {
            case "seed": other["seed"] = 1; break;
            case "experiment": other["experiment"] = "other"; break;
            case "sizes": other["sizes"]!["Steps"] = 101; break;
            default: other["data"] = "/elsewhere"; break;
        }
        using (var run = new RunFolder(_folder["two"], other)) {
            run.Start(CPU);
        }
        File.Copy(_folder["one/checkpoint/latest.ckpt"], _folder["two/checkpoint/latest.ckpt"]);
        using var resumed = new RunFolder(_folder["two"], other);
        Refuses(() => resumed.Continue(), $"was started with {what}");
    }

    [TestCase("\"seed\": 0", "\"seed\": 1", "it has options.seed = 1, and the checkpoint 0")]
    [TestCase("\"Steps\": 100", "\"Steps\": 50", "it has options.sizes.Steps = 50, and the checkpoint 100")]
    [TestCase("\"cores\"", "\"kernels\"", "it has provenance.")]
    [TestCase("\"options\"", "\"option\"", "is not the config.json of a run")]
    [TestCase("{", "[", "is not JSON")]
    [TestCase("\"tests\"", "\"\\ud800\"", "is not the config.json of a run")]
    [TestCase("\"seed\": 0", "\"seed\": 0, \"seed\": 1", "is not JSON")]
    public void An_edited_config_is_refused(string found, string replaced, string sentence)
    {
        Unfinished("run", 0);
        string text = File.ReadAllText(_folder["run/config.json"]);
        Assert.That(text, Does.Contain(found));
        int at = text.IndexOf(found, StringComparison.Ordinal);
        File.WriteAllText(_folder["run/config.json"], text[..at] + replaced + text[(at + found.Length)..]);
        using RunFolder resumed = Open("run", 0);
        Refuses(() => resumed.Continue(), sentence);
    }

    [Test]
    public void A_deleted_config_comes_back_from_the_checkpoint()
    {
        Unfinished("run", 0);
        string before = File.ReadAllText(_folder["run/config.json"]);
        File.Delete(_folder["run/config.json"]);
        Assert.That(Continued("run", 0)["epoch"]!.GetValue<int>(), Is.EqualTo(5));
        Assert.That(File.ReadAllText(_folder["run/config.json"]), Is.EqualTo(before));
    }

    [Test]
    public void A_file_that_is_no_config_of_a_run_is_not_replaced_unasked()
    {
        Directory.CreateDirectory(_folder["run"]);
        _folder.Write("run/config.json", "{\"name\": \"of another program\"}");
        Refuses(() => Started("run", 0), "is not the config.json of a run");
        Assert.That(File.ReadAllText(_folder["run/config.json"]), Does.Contain("another program"));
    }

    [Test]
    public void What_a_killed_run_left_half_written_is_removed_and_nothing_else()
    {
        Unfinished("run", 0);
        Directory.CreateDirectory(_folder["run/temporary/scipy"]);
        foreach (string file in new[] { "run/config.json.4194301.tmp", "run/checkpoint/latest.ckpt.77.tmp", "run/plots/a.png.1.tmp",
            "run/temporary/scipy/values.bin", "run/notes.tmp", "run/mine.x.tmp" }) {
            _folder.Write(file, "half");
        }
        _ = Continued("run", 0);
        string[] left = [.. Directory.GetFiles(_folder["run"], "*.tmp", SearchOption.AllDirectories).Select(file => Path.GetFileName(file)).Order()];
        Assert.That(left, Is.EqualTo(new[] { "mine.x.tmp", "notes.tmp" }));
        Assert.That(Directory.Exists(_folder["run/temporary"]), Is.False);
    }

    [Test]
    public void An_experiment_without_checkpoints_replaces_its_own_results_but_not_another_experiments()
    {
        Unfinished("run", 0);
        using (var solve = new RunFolder(_folder["run"], new JsonObject { ["experiment"] = "solve" }) { ReplacesItsOwn = true }) {
            Refuses(() => solve.Start(CPU), "holds an unfinished run");
        }
        using (var first = new RunFolder(_folder["solve"], new JsonObject { ["experiment"] = "solve", ["matrix"] = "a" }) { ReplacesItsOwn = true }) {
            first.Start(CPU);
        }
        using var second = new RunFolder(_folder["solve"], new JsonObject { ["experiment"] = "solve", ["matrix"] = "b" }) { ReplacesItsOwn = true };
        Assert.That(() => second.Start(CPU), Throws.Nothing);
    }

    [Test]
    public void A_state_that_is_none_of_the_experiment_is_one_sentence() =>
        Refuses(() => Checkpoint.StateOf<Dictionary<string, int>>(JsonNode.Parse("[1]")!), "holds a state that this version");

    private static JsonObject Options(long seed) => new() {
        ["experiment"] = "tests",
        ["seed"] = seed,
        ["data"] = null,
        ["sizes"] = new JsonObject { ["Steps"] = 100, ["Rate"] = 0.1 },
    };

    private static void Refuses(Action action, string sentence) =>
        Assert.That(() => action(), Throws.TypeOf<ExperimentException>().With.Message.Contains(sentence));

    private RunFolder Open(string name, long seed) => new(_folder[name], Options(seed));

    private RunFolder Started(string name, long seed)
    {
        RunFolder run = Open(name, seed);
        try {
            run.Start(CPU);
            return run;
        } catch {
            run.Dispose();
            throw;
        }
    }

    private void Unfinished(string name, long seed)
    {
        using RunFolder run = Started(name, seed);
        using Tensor weights = ones(2, 3);
        run.SaveCheckpoint(new JsonObject { ["epoch"] = 5 }, new Dictionary<string, Tensor> { ["weights"] = weights });
    }

    private void Finished(string name, long seed, bool overwrite = false)
    {
        using RunFolder run = Open(name, seed);
        run.Start(CPU, overwrite);
        run.SaveCheckpoint(new JsonObject { ["epoch"] = 9 }, new Dictionary<string, Tensor>());
        run.WriteSummary(new Summary { Title = "t", Question = "q", Table = new SummaryTable([], []), Figures = new Dictionary<string, double>() }, CPU);
    }

    private JsonNode Continued(string name, long seed)
    {
        using var scope = NewDisposeScope();
        using RunFolder run = Open(name, seed);
        return run.Continue()!.Value.State;
    }
}
