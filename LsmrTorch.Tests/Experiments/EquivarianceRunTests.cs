using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Equivariance;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds.</summary>
public class EquivarianceRunTests : TrainingRunTests
{
    private static readonly EquivarianceSizes s_tiny = new() {
        Seeds = 2,
        Widths = [8, 8, 8],
        WideWidths = [16, 16, 16],
        TrainImages = 64,
        TestImages = 40,
        BatchSize = 16,
        Epochs = 3,
        Penalties = [0.5, 2],
        TrainedEpochs = 1,
        EqualTimeDescents = 2,
        FunctionImages = 8,
        EachImages = 4,
    };

    internal override int Execute(RunSettings settings, RunConsole console) => new EquivarianceExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void The_figures_are_finite_numbers_under_the_names_that_were_promised()
    {
        Assert.That(Code, Is.Zero);
        JsonObject figures = Figures("whole");
        string[] networks = ["plain", "augmentation", "penalty", "f", "f_each", "f_augmentation", "f_trained", "w", "augmentation_equal_time", "augmentation_wide", "w_wide"];
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(networks.SelectMany(network => new[] {
            $"generated_equivariance_error_{network}", $"generated_transformed_accuracy_{network}", $"generated_accuracy_{network}", $"generated_seconds_per_step_{network}",
        }).Append("generated_augmentation_over_ours_equivariance_error")));
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(double.IsFinite(value!.GetValue<double>()), name);
        }
        Assert.That(figures["generated_equivariance_error_w"]!.GetValue<double>(), Is.LessThan(1e-4), "exact up to float32");
        Assert.That(figures["generated_equivariance_error_w_wide"]!.GetValue<double>(), Is.LessThan(1e-4));
        Assert.That(figures["generated_equivariance_error_plain"]!.GetValue<double>(), Is.GreaterThan(1e-3));
        Assert.That(figures["generated_transformed_accuracy_w"]!.GetValue<double>(), Is.EqualTo(figures["generated_accuracy_w"]!.GetValue<double>()).Within(0.051), "but for ties in round-off");
    }

    [Test]
    public void The_plots_are_there_and_the_metrics_hold_every_network()
    {
        Assert.That(Output, Does.Contain($"Plots: {Folder["whole/plots"]}."));
        foreach (string plot in new[] { "accuracy.png", "equivariance-error.png" }) {
            Assert.That(File.ReadAllBytes(Folder["whole/plots/" + plot])[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }));
        }
        JsonNode[] lines = Lines("whole");
        Assert.That(lines, Has.Length.EqualTo((12 + 6) * 3), "all networks of the first seed, and those of the comparison of the second");
        foreach (JsonNode line in lines.Where(line => line["network"]!.GetValue<string>() is "w" or "w_wide")) {
            Assert.That(line["iterations"]!.GetValue<int>(), Is.InRange(1, 20));
        }
    }

    [Test]
    public void Differences_are_those_of_the_means_over_the_seeds()
    {
        JsonObject figures = Figures("whole");
        double Of(string name) => figures["generated_transformed_accuracy_" + name]!.GetValue<double>();
        foreach (string other in new[] { "augmentation", "augmentation_equal_time", "augmentation_wide" }) {
            double[] perSeed = [.. from seed in new[] { 0, 1 } select Accuracy(seed, "w_wide") - Accuracy(seed, other)];
            Assert.That(Of("w_wide_minus_" + other), Is.EqualTo(perSeed.Average()).Within(1e-12), other);
            Assert.That(Of($"w_wide_minus_{other}_high") - Of($"w_wide_minus_{other}"), Is.EqualTo(12.7062 * Math.Abs(perSeed[0] - perSeed[1]) / 2).Within(1e-9), "Student's t of two");
        }

        double Accuracy(int seed, string network) => Lines("whole").Single(line =>
            line["seed"]!.GetValue<int>() == seed && line["network"]!.GetValue<string>() == network && line["epoch"]!.GetValue<int>() == 3)["transformed_accuracy"]!.GetValue<double>();
    }

    [TestCase(1)]
    [TestCase(3)]       // a seed is done
    [TestCase(5)]
    [TestCase(6)]       // all are
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, string output) = StopAndResume(after, isLast: after == 6);
        Assert.That(output, Does.Contain($"Going on after epoch {after} of 6."));
        HasFiguresOfTheWhole(name, "w_step_over");
        HasMetricsOfTheWhole(name);
    }
}
