using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Conditioning;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds.</summary>
public class ConditioningTests : ExperimentRunTests
{
    private static readonly ConditioningSizes s_tiny = new() {
        Columns = 64,       // with fewer a solve ends of itself, and its error falls faster than the tolerance
        Seeds = 2,
        Conds = [1, 1e3, 1e12],
        Tolerances = [1e-3, 1e-5, 1e-7, 1e-9, 1e-11],
        Noises = [1e-4, 1e-6, 1e-8, 1e-10],
        Damps = [0, 1e-2],
        TallRows = 600,
        TallColumns = 30,
    };

    protected override (int Code, string Output) RunWhole() => Run("whole");

    [Test]
    public void Is_a_command_of_the_runner()
    {
        (int code, string output, _) = CommandLineTests.Run("conditioning --help");
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("noise in the products").And.Contain("--preset"));
    }

    [Test]
    public void The_error_falls_in_proportion_with_tolerance_and_noise()
    {
        JsonObject figures = Figures("whole");
        Assert.That(Code, Is.Zero);
        foreach (string name in new[] { "tolerance_exponent", "tolerance_exponent_damp_1e-2", "backward_tolerance_exponent" }) {
            Assert.That(figures[name]!.GetValue<double>(), Is.InRange(0.7, 1.4), name);
        }
        Assert.That(figures["noise_exponent"]!.GetValue<double>(), Is.InRange(0.8, 1.2));
        Assert.That(figures["noise_exponent_damp_1e-2"]!.GetValue<double>(), Is.InRange(0.8, 1.2));
    }

    [Test]
    public void Damping_keeps_the_error_of_an_ill_conditioned_operator_small()
    {
        JsonObject figures = Figures("whole");
        Assert.That(figures["error_cond_1e+0"]!.GetValue<double>(), Is.InRange(0, 1e-14));
        Assert.That(figures["error_cond_1e+3"]!.GetValue<double>(), Is.InRange(0, 1e-11));
        Assert.That(figures["error_cond_1e+12_damp_1e-2"]!.GetValue<double>(), Is.InRange(0, 1e-12));
        Assert.That(figures["error_cond_1e+12_float32_damp_1e-2"]!.GetValue<double>(), Is.InRange(0, 1e-3));
        Assert.That(figures["error_cond_1e+12"]?.GetValue<double>() ?? double.PositiveInfinity, Is.AtLeast(1e-6));
    }

    [Test]
    public void A_sketch_and_reorthogonalisation_take_an_ill_conditioned_operator_further()
    {
        JsonObject figures = Figures("whole");
        foreach (string variant in new[] { "reorthogonalised", "preconditioned" }) {
            Assert.That(figures["error_cond_1e+3_" + variant]!.GetValue<double>(), Is.InRange(0, 1e-11), variant);
        }
        Assert.That(figures["noise_exponent_preconditioned"]!.GetValue<double>(), Is.InRange(0.8, 1.2));
        JsonNode[] ours = [.. Points("whole").Select(line => JsonNode.Parse(line)!)
            .Where(line => IsAt(line, "Cond", 1e3) && line["dtype"]!.GetValue<string>() == "float64" && line["damp"]!.GetValue<double>() == 0)];
        int[] iterations = [.. new[] { "plain", "reorthogonalised", "preconditioned" }
            .Select(variant => ours.Where(line => line["variant"]!.GetValue<string>() == variant).Max(line => line["backward_iterations"]!.GetValue<int>()))];
        Assert.That(iterations[1], Is.LessThan(iterations[0]));
        Assert.That(iterations[2], Is.LessThan(iterations[0]));
    }

    [Test]
    public void A_sketch_that_finds_dependent_columns_is_a_failed_point()
    {
        JsonNode[] failed = [.. Points("whole").Select(line => JsonNode.Parse(line)!)
            .Where(line => IsAt(line, "Cond", 1e12) && line["variant"]!.GetValue<string>() == "preconditioned" && line["failure"] is not null)];
        Assert.That(failed, Is.Not.Empty);
        Assert.That(failed.All(line => line["dtype"]!.GetValue<string>() == "float32" && line["damp"]!.GetValue<double>() == 0));
        Assert.That(failed.All(line => line["failure"]!.GetValue<string>().Contains("depends on those before it")));
    }

    [Test]
    public void Every_point_is_a_line_of_metrics()
    {
        JsonNode[] lines = [.. Points("whole").Select(line => JsonNode.Parse(line)!)];
        Assert.That(lines, Has.Length.EqualTo((3 + (3 * 5) + 4) * 3 * 2 * 2 * 2)); // values x variants x types x dampings x seeds
        foreach (string name in new[] { "sweep", "dtype", "damp", "value", "stop", "iterations", "backward_runs", "backward_iterations", "converged" }) {
            Assert.That(lines.All(line => line[name] is not null), name);
        }
        Assert.That(lines.All(line => (line["error_b"] is null) == (line["failure"] is not null)));
    }

    [Test]
    public void The_plots_are_there()
    {
        foreach (string plot in from sweep in new[] { "condition", "tolerance", "noise" } from dtype in new[] { "float64", "float32" } select $"{sweep}_{dtype}.png") {
            Assert.That(File.ReadAllBytes(Folder["whole/plots/" + plot])[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }));
        }
        Assert.That(Output, Does.Contain("ForwardTolerance").And.Contain("float32, λ = 0.01"));
    }

    [Test]
    public void The_same_seed_gives_the_same_numbers()
    {
        Run("again");
        Assert.That(Points("again"), Is.EqualTo(Points("whole")));
    }

    [Test]
    public void A_tall_matrix_is_solved_beside_lstsq()
    {
        JsonObject figures = Figures("whole");
        foreach (string name in new[] { "over_lstsq", "seconds", "lstsq_seconds" }) {
            Assert.That(figures["tall_600x30_" + name]!.GetValue<double>(), Is.Positive, name);
        }
        Assert.That(figures["tall_600x30_iterations"]!.GetValue<double>(), Is.InRange(5, 100));
        Assert.That(figures["tall_600x30_error"]!.GetValue<double>(), Is.InRange(0, 1e-8));
        Assert.That(figures["tall_600x30_lstsq_error"]!.GetValue<double>(), Is.InRange(0, 1e-8));
        Assert.That(File.ReadAllLines(Folder["whole/metrics.jsonl"]).Count(line => line.Contains("\"kind\":\"tall\"")), Is.EqualTo(7));
    }

    [Test]
    public void The_exponent_is_fitted_between_the_floor_and_an_error_of_a_third()
    {
        (double, double)[] points = [(1e-1, 2), (1e-2, 1e-1), (1e-3, 1e-3), (1e-4, 1e-5), (1e-5, 1e-7), (1e-6, 1e-7), (1e-7, double.PositiveInfinity)];
        Assert.That(ConditioningReport.Exponent(points), Is.EqualTo(2).Within(1e-12));
        Assert.That(ConditioningReport.Exponent(points[..2]), Is.NaN);
    }

    [Test]
    public void A_preset_that_is_not_there_is_one_sentence()
    {
        (int code, _, string error) = CommandLineTests.Run("conditioning --preset paper");
        Assert.That(error, Does.StartWith("conditioning has no preset 'paper'"));
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(code, Is.EqualTo(1));
    }

    private (int Code, string Output) Run(string name)
    {
        var output = new StringWriter();
        var console = new RunConsole(output, TextWriter.Null, false, CancellationToken.None);
        return (new ConditioningExperiment().Execute(s_tiny, new RunSettings { Out = Folder[name], Seed = 3 }, console), output.ToString());
    }

    private static bool IsAt(JsonNode line, string sweep, double value) =>
        line["sweep"]!.GetValue<string>() == sweep && line["value"]!.GetValue<double>() == value;

    private string[] Points(string run) =>
        [.. File.ReadAllLines(Folder[run + "/metrics.jsonl"]).Where(line => line.Contains("\"kind\":\"point\""))];

    private JsonObject Figures(string run) =>
        (JsonObject)JsonNode.Parse(File.ReadAllText(Folder[run + "/summary.json"]))!["figures"]!;
}
