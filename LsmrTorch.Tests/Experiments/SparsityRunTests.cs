using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using LsmrTorch.Experiments.Sparsity;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds: two batches an epoch, two epochs dense, three further.</summary>
public class SparsityRunTests : TrainingRunTests
{
    private static readonly SparsitySizes s_tiny = new() {
        Depth = 8,
        TrainImages = 48,
        TestImages = 40,
        BatchSize = 32,
        DenseEpochs = 2,
        FurtherEpochs = 3,
        ChooseEvery = 2,
        SettleBatches = 2,
    };

    internal override int Execute(RunSettings settings, RunConsole console) => new SparsityExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void Succeeds_and_says_where_the_plots_are()
    {
        Assert.That(Code, Is.Zero);
        Assert.That(Output, Does.Contain($"Plots: {Folder["whole/plots"]}."));
        Assert.That(Output, Does.Contain("ours").And.Contains("gradual").And.Contains("oneshot").And.Contains("dense longer"));
    }

    [Test]
    public void The_figures_are_flat_numbers_under_the_names_that_were_promised()
    {
        var figures = Figures("whole");
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(new[] {
            "generated_90_dense_accuracy", "generated_90_dense_longer_accuracy", "generated_90_ours_accuracy",
            "generated_90_ours_accuracy_before_zeroing", "generated_90_ours_sparsity", "generated_90_gradual_accuracy",
            "generated_90_oneshot_accuracy", "generated_90_ours_constraint_norm",
            "seconds_per_step_dense", "seconds_per_step_ours", "seconds_per_step_ratio",
        }));
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(double.IsFinite(value!.GetValue<double>()), name);
        }
    }

    [Test]
    public void A_wide_network_is_trained_and_pruned_like_a_plain_one()
    {
        SparsitySizes wide = s_tiny with { Depth = 10, Width = 1, DenseEpochs = 1, FurtherEpochs = 2 };
        Assert.That(new SparsityExperiment().Execute(wide, Settings("wide"), new RunConsole(TextWriter.Null, TextWriter.Null, false, CancellationToken.None)), Is.Zero);
        Assert.That(Figures("wide")["generated_90_ours_sparsity"]!.GetValue<double>(), Is.EqualTo(0.9).Within(1e-4).And.AtLeast(0.9));
        Assert.That(File.ReadAllText(Folder["wide/summary.md"]), Does.Contain("WRN-10-1"));
        Assert.That((SparsitySizes.Of("paper").NameOfNetwork(), SparsitySizes.Of("small").NameOfNetwork()), Is.EqualTo(("WRN-28-10", "ResNet-20")));
    }

    [Test]
    public void The_summary_for_readers_has_the_figures_of_the_one_for_machines()
    {
        string text = File.ReadAllText(Folder["whole/summary.md"]);
        foreach ((string name, JsonNode? value) in Figures("whole")) {
            Assert.That(text, Does.Contain(FormattableString.Invariant($"| `{name}` | {value!.GetValue<double>():G6} |")));
        }
    }

    [Test]
    public void Every_line_of_the_metrics_is_an_object_with_a_kind()
    {
        string[] lines = File.ReadAllLines(Folder["whole/metrics.jsonl"]);
        string[] kinds = [.. lines.Select(line => JsonNode.Parse(line)!["kind"]!.GetValue<string>())];
        Assert.That(kinds.Count(kind => kind == "epoch"), Is.EqualTo(2 + (4 * 3)));
        Assert.That(kinds.Count(kind => kind == "constraint"), Is.EqualTo(2 * 3));
    }

    [Test]
    public void The_config_holds_options_and_provenance()
    {
        JsonNode config = Json("whole/config.json");
        Assert.That(config["options"]!["seed"]!.GetValue<long>(), Is.EqualTo(11));
        Assert.That(config["options"]!["sizes"]!["Depth"]!.GetValue<int>(), Is.EqualTo(8));
        foreach (string name in new[] { "started", "version", "torchsharp", "dotnet", "processor", "cores", "threads" }) {
            Assert.That(config["provenance"]![name]?.ToString(), Is.Not.Null.And.Not.Empty, name);
        }
    }

    [Test]
    public void The_plots_are_there()
    {
        foreach (JsonNode? plot in Json("whole/summary.json")["plots"]!.AsArray()) {
            byte[] bytes = File.ReadAllBytes(Folder["whole/" + plot]);
            Assert.That(bytes[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }));
        }
    }

    [TestCase("ours")]
    [TestCase("gradual")]
    [TestCase("oneshot")]
    public void Nine_tenths_of_the_weights_are_exactly_zero(string network)
    {
        using var scope = NewDisposeScope();
        Tensor[] weights = [.. Networks("whole").Where(entry => entry.Key.StartsWith(network + "/"))
            .Select(entry => entry.Value).Where(tensor => tensor.dim() >= 2)];
        long count = weights.Sum(weight => weight.numel());
        long zeros = weights.Sum(weight => weight.eq(0).sum().item<long>());
        Assert.That(zeros, Is.EqualTo((long)Math.Ceiling(0.9m * count)));
        Assert.That(Figure("whole", $"generated_90_{network}_sparsity"), Is.EqualTo((double)zeros / count));
    }

    [Test]
    public void The_constraint_is_met_before_the_weights_are_zeroed()
    {
        Assert.That(Figure("whole", "generated_90_ours_constraint_norm"), Is.LessThan(1e-7));
        Assert.That(Figure("whole", "generated_90_ours_accuracy"), Is.EqualTo(Figure("whole", "generated_90_ours_accuracy_before_zeroing")));
    }

    [TestCase(1)] // in the dense phase
    [TestCase(4)] // among the continuations, with masks and momentum
    public void A_run_that_was_stopped_and_resumed_ends_as_one_that_was_not(int epochs)
    {
        (string name, string output) = StopAndResume(epochs);
        Assert.That(output, Does.Contain("Going on after epoch"));

        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> expected = Networks("whole");
        Dictionary<string, Tensor> actual = Networks(name);
        Assert.That(actual.Keys, Is.EqualTo(expected.Keys));
        foreach ((string key, Tensor tensor) in actual) {
            Assert.That(tensor.bytes.SequenceEqual(expected[key].bytes), key);
        }
        HasFiguresOfTheWhole(name);
        HasMetricsOfTheWhole(name);
    }

    [Test]
    public void Resuming_a_finished_run_gives_its_figures_again()
    {
        double before = Figure("whole", "generated_90_ours_accuracy");
        (int code, _) = Run("whole", resume: true);
        Assert.That(code, Is.Zero);
        Assert.That(Figure("whole", "generated_90_ours_accuracy"), Is.EqualTo(before));
    }

    [Test]
    public void Resuming_with_other_options_is_refused_in_one_sentence()
    {
        var settings = Settings("whole", resume: true) with { Seed = 12 };
        Assert.That(() => Execute(settings, Silent()),
            Throws.TypeOf<ExperimentException>().With.Message.Contains("was started with seed = 11, not 12"));
    }

    [Test]
    public void Resuming_from_a_damaged_checkpoint_is_refused_in_one_sentence()
    {
        Directory.CreateDirectory(Folder["damaged/checkpoint"]);
        File.Copy(Folder["whole/config.json"], Folder["damaged/config.json"]);
        File.WriteAllText(Folder["damaged/checkpoint/latest.ckpt"], "no checkpoint");
        Assert.That(() => Execute(Settings("damaged", resume: true), Silent()),
            Throws.TypeOf<ExperimentException>().With.Message.Contains("is damaged"));
    }

    [Test]
    public void Stopping_before_the_first_step_leaves_nothing_to_resume_and_says_so_later()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var console = new RunConsole(TextWriter.Null, TextWriter.Null, false, stop.Token);
        var error = new StringWriter();
        Assert.That(() => Execute(Settings("early"), console),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(() => Execute(Settings("early", resume: true), console with { Error = error }),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(error.ToString(), Does.Contain("There is no checkpoint").And.Contains("the run starts afresh."));
    }

    private static RunConsole Silent() => new(TextWriter.Null, TextWriter.Null, false, CancellationToken.None);

    private double Figure(string run, string name) => Figures(run)[name]!.GetValue<double>();

    private Dictionary<string, Tensor> Networks(string run) => Checkpoint.Load(Folder[run + "/checkpoint/networks.ckpt"]).Tensors;
}
