using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Conservativeness;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds.</summary>
public class ConservativenessRunTests : TrainingRunTests
{
    private static readonly ConservativenessSizes s_tiny = new() {
        Densities = ["eight-gaussians", "checkerboard"],
        Seeds = 2,
        Hidden = 12,
        Batch = 24,
        Points = 6,
        Steps = 40,
        WarmUpSteps = 25,
        PenaltyWarmUpSteps = 8,
        MetricSteps = 10,
        Penalties = [1, 10],
        LongPenalty = 5,
        LongSteps = 2,
        Levels = 3,
        TestPoints = 20,
        Pairs = 4,
        Nodes = 5,
        Samples = 30,
        FlowSteps = 4,
        RecordEvery = 10,
        CheckpointEvery = 10,
    };

    internal override int Execute(RunSettings settings, RunConsole console) => new ConservativenessExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void Is_a_command_of_the_runner()
    {
        (int code, string output, _) = CommandLineTests.Run("conservativeness --help");
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("gradients").And.Contain("--preset"));
    }

    [Test]
    public void Succeeds_and_shows_every_network()
    {
        Assert.That(Code, Is.Zero);
        Assert.That(Output, Does.Contain("ours").And.Contains("plain").And.Contains("penalty λ = 10").And.Contains("(the best)").And.Contains("2 descents a step"));
    }

    [Test]
    public void The_figures_are_finite_numbers_under_the_names_that_were_promised()
    {
        JsonObject figures = Figures("whole");
        var names = from measure in new[] { "asymmetry_2d", "score_loss_2d", "path_dependence_2d", "seconds_per_step" }
                    from network in new[] { "plain", "penalty", "penalty_long", "ours" }
                    select $"{measure}_{network}";
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(names.Append("asymmetry_2d_plain_over_ours").Append("asymmetry_2d_ours_spread").Append("asymmetry_2d_ours_checkerboard")));
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(double.IsFinite(value!.GetValue<double>()), name);
        }
        Assert.That(figures["asymmetry_2d_plain_over_ours"]!.GetValue<double>(),
            Is.EqualTo(figures["asymmetry_2d_plain"]!.GetValue<double>() / figures["asymmetry_2d_ours"]!.GetValue<double>()).Within(1e-12));
    }

    [Test]
    public void The_figures_are_means_of_what_the_metrics_hold()
    {
        JsonNode[] ends = [.. Lines("whole", "end").Where(line => line["network"]!.GetValue<string>() == "ours")];
        Assert.That(ends, Has.Length.EqualTo(4));
        double mean = ends.Average(end => end["asymmetries"]!.AsArray().Average(value => value!.GetValue<double>()));
        Assert.That(Figures("whole")["asymmetry_2d_ours"]!.GetValue<double>(), Is.EqualTo(mean).Within(1e-12));
    }

    [Test]
    public void The_plots_are_there()
    {
        string[] plots = [.. Json("whole/summary.json")["plots"]!.AsArray().Select(plot => plot!.GetValue<string>())];
        Assert.That(plots, Is.EqualTo(new[] {
            "plots/noise-eight-gaussians.png", "plots/steps-eight-gaussians.png", "plots/samples-eight-gaussians.png",
            "plots/noise-checkerboard.png", "plots/steps-checkerboard.png", "plots/samples-checkerboard.png",
        }));
        foreach (string plot in plots) {
            Assert.That(File.ReadAllBytes(Folder["whole/" + plot])[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }));
        }
    }

    [Test]
    public void Each_network_is_plain_until_its_first_step()
    {
        Assert.That(At(20), Is.EquivalentTo(new[] { "plain", "penalty_1", "penalty_10", "penalty_5_long", "ours" }));
        Assert.That(At(10), Is.EquivalentTo(new[] { "plain", "penalty_1", "penalty_10", "penalty_5_long" }));
        Assert.That(Of(20, "ours"), Is.EqualTo(Of(20, "plain")));           // in its warm-up
        Assert.That(Of(30, "ours"), Is.Not.EqualTo(Of(30, "plain")));
        Assert.That(Of(10, "penalty_1"), Is.Not.EqualTo(Of(10, "plain")));

        IEnumerable<string> At(int step) => Steps(step).Select(line => line["network"]!.GetValue<string>());
        double Of(int step, string network) => Steps(step).Single(line => line["network"]!.GetValue<string>() == network)["asymmetry"]!.GetValue<double>();
        IEnumerable<JsonNode> Steps(int step) => Lines("whole", "step").Where(line =>
            line["density"]!.GetValue<string>() == "eight-gaussians" && line["seed"]!.GetValue<int>() == 0 && line["step"]!.GetValue<int>() == step);
    }

    [Test]
    public void The_metrics_hold_the_solves_of_ours()
    {
        JsonNode[] solves = Lines("whole", "solve");
        Assert.That(solves, Has.Length.EqualTo(4 * 2));     // steps 30 and 40 of four fields
        Assert.That(solves.All(solve => solve["iterations"]!.GetValue<int>() > 0 && solve["predicted"]!.GetValue<double>() < solve["norm"]!.GetValue<double>()));
    }

    [TestCase(10)]      // plain and the penalties
    [TestCase(30)]      // all networks
    [TestCase(40)]      // between two fields
    [TestCase(110)]
    [TestCase(160)]     // the end
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, string output) = StopAndResume(after, isLast: after == 160);
        Assert.That(output, Does.Contain($"Going on after step {after} of 160."));
        HasMetricsOfTheWhole(name);
        HasFiguresOfTheWhole(name);
        foreach (string samples in new[] { "samples-eight-gaussians", "samples-checkerboard" }) {
            Assert.That(File.ReadAllBytes(Folder[$"{name}/plots/{samples}.png"]), Is.EqualTo(File.ReadAllBytes(Folder[$"whole/plots/{samples}.png"])));
        }
    }
}
