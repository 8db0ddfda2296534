using System.Text.Json.Nodes;
using LsmrTorch.Experiments.GradientCheck;
using LsmrTorch.Experiments.LeastSquares;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The experiment with fewer dampings and one condition, and with files of cases.</summary>
public class GradientCheckTests : ExperimentRunTests
{
    // A = [2 0; 0 4; 0 0], b = (2, 4, 1), g = (1, 2): x = (1, 1), r = (0, 0, 1), p = (1/2, 1/2, 0), w = (1/4, 1/8), s = 0.
    private const string Case = """
        {"name": "by hand", "m": 3, "n": 2, "A_rowmajor": [2, 0, 0, 4, 0, 0], "b": [2, 4, 1], "damp": 0, "x0": [0, 0], "g": [1, 2], "rank": 2,
         "x": [1, 1], "dL_db": [0.5, 0.5, 0], "dL_dA_rowmajor": [-0.5, -0.5, -0.5, -0.5, 0.25, 0.125], "dL_dx0": [0, 0], "dL_ddamp": 0}
        """;

    private static readonly GradientCheckSizes s_one = new() { Conds = [10], Damps = [0.5] };

    protected override (int Code, string Output) RunWhole() => Run("whole", new GradientCheckSizes { Conds = [10], Damps = [0, 0.5] });

    [Test]
    public void Is_a_command_of_the_runner()
    {
        (int code, string output, _) = CommandLineTests.Run("gradient-check --help");
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("--cases").And.Contain("--preset"));
    }

    [Test]
    public void Every_cell_is_compared_or_counted_as_failed()
    {
        const int All = 3 * 2 * 2 * 2 * 2 * 4; // shape, damping, rank, x0, type, kind
        JsonObject figures = Figures("whole");
        Assert.That(Code, Is.Zero);
        Assert.That(Number(figures, "cells") + Number(figures, "failed_cells"), Is.EqualTo(All));
        Assert.That(Number(figures, "cells"), Is.AtLeast(96));
        JsonNode[] lines = [.. File.ReadAllLines(Folder["whole/metrics.jsonl"]).Select(line => JsonNode.Parse(line)!)];
        Assert.That(lines, Has.Length.EqualTo(All));
        Assert.That(lines.Count(line => line["failure"] is not null), Is.EqualTo(Number(figures, "failed_cells")));
        Assert.That(lines.All(line => (line["worst"] is null) == (line["failure"] is not null)));
        Assert.That(Output, Does.Contain("| Square |").And.Contain("deficient"));
    }

    [Test]
    public void Errors_of_the_cells_that_were_compared_are_within_their_goals()
    {
        JsonObject figures = Figures("whole");
        Assert.That(Number(figures, "worst_error_float64"), Is.InRange(1e-17, 1e-8));
        Assert.That(Number(figures, "worst_error_float32"), Is.InRange(1e-8, 1e-3));
        Assert.That(Number(figures, "worst_difference_error"), Is.InRange(1e-17, 1e-6));
        Assert.That(Number(figures, "cells_over_goal_float64"), Is.Zero);
        Assert.That(Number(figures, "worst_error_float64_cond_10"), Is.EqualTo(Number(figures, "worst_error_float64")));
    }

    [Test]
    public void The_plot_is_there()
    {
        byte[] plot = File.ReadAllBytes(Folder["whole/plots/errors.png"]);
        Assert.That(plot[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }));
    }

    [Test]
    public void A_wrong_reference_is_seen_and_a_right_one_agrees()
    {
        string file = WriteCases(Case, Case.Replace("[0.5, 0.5, 0]", "[0.5, 0.50001, 0]"), Case.Replace("\"dL_ddamp\": 0", "\"dL_ddamp\": 1e-3"));
        (int code, string output) = Run("cases", s_one with { Cases = file });
        JsonObject figures = Figures("cases");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(output, Does.Contain("by hand").And.Contain("2 over 1e-6, 0 failed"));
        Assert.That(Number(figures, "case_0_worst"), Is.AtMost(1e-14));
        Assert.That(Number(figures, "case_1_worst"), Is.EqualTo(1e-5 / Math.Sqrt(0.5)).Within(1).Percent);
        Assert.That(Number(figures, "case_2_worst"), Is.AtLeast(0.01));
    }

    [Test]
    public void The_reference_cases_agree()
    {
        (int code, string output) = Run("shared", s_one with { Cases = SharedData.Require("least_squares_cases.json") });
        JsonObject figures = Figures("shared");
        Assert.That(code, Is.Zero);
        Assert.That(Number(figures, "cases"), Is.EqualTo(16));
        double?[] worst = [.. Enumerable.Range(0, 16).Select(i => figures[$"case_{i}_worst"]?.GetValue<double>())];
        Assert.That(worst.Count(error => error is null), Is.EqualTo(Number(figures, "failed_cases")), output);
        Assert.That(worst.Where(error => error is not null), Is.All.AtMost(1e-6));
        Assert.That(worst.Count(error => error is not null), Is.AtLeast(12));
    }

    [TestCase("not json", "is not a file of least-squares cases: ")]
    [TestCase("{}", "is not a file of least-squares cases: ")]
    [TestCase("{\"small\": []}", "has no cases under 'small'.")]
    [TestCase("{\"small\": [null]}", "is null.")]
    [TestCase("{\"small\": [{\"name\": \"half\"}]}", "is not a file of least-squares cases: ")]
    [TestCase("{\"small\": [CASE]}", "Case 0 of ", "\"b\": [2, 4, 1]", "\"b\": [2, 4]")]
    [TestCase("{\"small\": [CASE]}", "has damp -1, which must not be negative.", "\"damp\": 0", "\"damp\": -1")]
    [TestCase("{\"small\": [CASE]}", "has rank 3, which must be between 0 and 2.", "\"rank\": 2", "\"rank\": 3")]
    [TestCase("{\"small\": [CASE]}", "has shape (0, 2).", "\"m\": 3", "\"m\": 0")]
    public void A_damaged_file_of_cases_is_one_sentence(string text, string sentence, string found = " ", string replaced = " ")
    {
        File.WriteAllText(Folder["bad.json"], text.Replace("CASE", Case.Replace(found, replaced)));
        (int code, _, string error) = CommandLineTests.Run(["gradient-check", "--cases", Folder["bad.json"], "--out", Folder["bad"]]);
        Assert.That(error, Does.Contain(sentence));
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(code, Is.EqualTo(1));
    }

    [TestCase("gradient-check --cases /no/such/file", "The cases file /no/such/file does not exist.")]
    [TestCase("gradient-check --preset paper", "gradient-check has no preset 'paper'")]
    public void What_is_not_there_is_one_sentence(string line, string sentence)
    {
        (int code, _, string error) = CommandLineTests.Run(line);
        Assert.That(error, Does.StartWith(sentence));
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(code, Is.EqualTo(1));
    }

    [Test]
    public void A_stop_ends_it_between_two_cells()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var console = new RunConsole(TextWriter.Null, TextWriter.Null, false, stop.Token);
        Assert.That(() => new GradientCheckExperiment().Execute(s_one, Settings("stopped"), console),
            Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void The_dense_truth_is_what_autograd_finds_through_the_normal_equations([Values(0, 0.3)] double damp)
    {
        using var scope = NewDisposeScope();
        Tensor a = Problems.Matrix(9, 5, 10, 31), b = Problems.Random(32, 9), x0 = Problems.Random(33, 5), g = Problems.Random(34, 5);
        var truth = new DenseTruth(Factors.Of(a), 5, damp, b, x0, g);
        Tensor[] inputs = [.. new[] { a, b, x0, tensor(damp) }.Select(x => x.clone().requires_grad_())];
        Tensor normal = inputs[0].t().mm(inputs[0]).add(eye(5, dtype: float64).mul(inputs[3].square()));
        Tensor x = inputs[2].add(linalg.solve(normal, inputs[0].t().mv(inputs[1].sub(inputs[0].mv(inputs[2])))));
        Tensor[] found = Gradient.Of(x.mul(g).sum(), inputs);

        Check.Close(truth.Solution, x, 1e-12, "x");
        Check.Close(truth.MatrixGradient, found[0], 1e-12, "dL/dA");
        Check.Close(truth.P, found[1], 1e-12, "dL/db");
        Check.Close(truth.S, found[2], 1e-12, "dL/dx0", floor: 1);
        Check.Close(tensor(truth.DampGradient), found[3], 1e-12, "dL/d damp", floor: 1);
    }

    private string WriteCases(params string[] cases)
    {
        File.WriteAllText(Folder["cases.json"], $"{{\"note\": \"\", \"small\": [{string.Join(",", cases)}], \"real\": [{{\"name\": \"elsewhere\"}}]}}");
        return Folder["cases.json"];
    }

    [Test]
    public void A_goal_that_is_missed_makes_the_exit_code_one()
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var console = new RunConsole(output, error, false, CancellationToken.None);
        int code = new GradientCheckExperiment().Execute(s_one with { GoalFloat64 = 1e-18 }, Settings("missed"), console);
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error.ToString(), Does.Match(@"^The check failed: \d+ float64 cells are over the goal\.\s*$"));
        Assert.That(Number(Figures("missed"), "cells_over_goal_float64"), Is.AtLeast(1));
    }

    private RunSettings Settings(string name) => new() { Out = Folder[name], Seed = 5 };

    private (int Code, string Output) Run(string name, GradientCheckSizes sizes)
    {
        var output = new StringWriter();
        var console = new RunConsole(output, TextWriter.Null, false, CancellationToken.None);
        return (new GradientCheckExperiment().Execute(sizes, Settings(name), console), output.ToString());
    }

    private JsonObject Figures(string run) =>
        (JsonObject)JsonNode.Parse(File.ReadAllText(Folder[run + "/summary.json"]))!["figures"]!;

    private static double Number(JsonObject figures, string name) => figures[name]!.GetValue<double>();
}
