using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Periodic;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds.</summary>
public class PeriodicRunTests : TrainingRunTests
{
    private static readonly PeriodicSizes s_tiny = new() {
        Hidden = 12,
        Steps = 90,
        WarmUpSteps = 20,
        Points = 12,
        Penalties = [0.5, 2],
        RecordEvery = 10,
        CheckpointEvery = 30,
    };

    internal override int Execute(RunSettings settings, RunConsole console) => new PeriodicExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void Is_a_command_of_the_runner()
    {
        (int code, string output, _) = CommandLineTests.Run("periodic --help");
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("f(x + 2π) = f(x)").And.Contain("--preset"));
    }

    [Test]
    public void Succeeds_and_says_where_the_plots_are()
    {
        Assert.That(Code, Is.Zero);
        Assert.That(Output, Does.Contain($"Plots: {Folder["whole/plots"]}."));
        Assert.That(Output, Does.Contain("ours").And.Contains("plain").And.Contains("penalty λ = 0.5").And.Contains("(the best)"));
    }

    [Test]
    public void The_figures_are_finite_numbers_under_the_names_that_were_promised()
    {
        JsonObject figures = Figures("whole");
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(new[] {
            "periodic_rmse_inside_plain", "periodic_rmse_inside_penalty", "periodic_rmse_inside_ours",
            "periodic_rmse_outside_plain", "periodic_rmse_outside_penalty", "periodic_rmse_outside_ours",
            "periodic_constraint_norm", "periodic_constraint_norm_plain", "periodic_constraint_norm_penalty",
            "periodic_iterations_per_step", "periodic_condition", "periodic_seconds_per_step_plain",
            "periodic_seconds_per_step_penalty", "periodic_seconds_per_step_ours",
        }));
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(double.IsFinite(value!.GetValue<double>()), name);
        }
        Assert.That(figures["periodic_iterations_per_step"]!.GetValue<double>(), Is.Positive);
    }

    [Test]
    public void The_plots_are_there()
    {
        string[] plots = [.. Json("whole/summary.json")["plots"]!.AsArray().Select(plot => plot!.GetValue<string>())];
        Assert.That(plots, Is.EqualTo(new[] { "plots/curves.png", "plots/over-steps.png" }));
        foreach (string plot in plots) {
            Assert.That(File.ReadAllBytes(Folder["whole/" + plot])[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }));
        }
    }

    [Test]
    public void The_metrics_hold_every_network_and_every_solve_of_ours()
    {
        JsonNode[] lines = Lines("whole");
        JsonNode[] solves = [.. lines.Where(line => line["kind"]!.GetValue<string>() == "solve")];
        Assert.That(solves.Select(line => line["step"]!.GetValue<int>()), Is.EqualTo(new[] { 30, 40, 50, 60, 70, 80, 90 }));
        foreach (string name in new[] { "norm", "predicted", "iterations", "condition", "stop" }) {
            Assert.That(solves.All(line => line[name] is not null), name);
        }
        JsonNode[] steps = [.. lines.Where(line => line["kind"]!.GetValue<string>() == "step")];
        Assert.That(steps.Select(line => line["network"]!.GetValue<string>()).Distinct(),
            Is.EqualTo(new[] { "plain", "penalty_0.5", "penalty_2", "ours" }));
        Assert.That(steps, Has.Length.EqualTo(4 * 9));
    }

    [Test]
    public void All_networks_are_the_same_until_the_warm_up_ends()
    {
        StepLosses(10, losses => Assert.That(losses.Distinct().Count(), Is.EqualTo(1)));
        StepLosses(90, losses => Assert.That(losses.Distinct().Count(), Is.EqualTo(4)));

        void StepLosses(int step, Action<IEnumerable<double>> check) =>
            check(Lines("whole", "step").Where(line => line["step"]!.GetValue<int>() == step)
                .Select(line => line["loss"]!.GetValue<double>()));
    }

    [TestCase(30)]
    [TestCase(60)]
    [TestCase(90)]
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, string output) = StopAndResume(after, isLast: after == s_tiny.Steps);
        Assert.That(output, Does.Contain($"Going on after step {after} of 90."));
        HasFiguresOfTheWhole(name);
        HasMetricsOfTheWhole(name);
    }
}
