using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.GpCalibration;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds.</summary>
public class GpCalibrationTests : TrainingRunTests
{
    private static readonly GpSizes s_tiny = GpSizes.Of("smoke") with {
        Generated = [new("few", 80, 3, 0.1), new("many", 1010, 3, 0.2)],
        Steps = 6,
        RowsPerStep = 400,          // of "many" a step uses a choice, in float32
        SinglePrecisionFrom = 500,
        MonitorEvery = 2,
        MemoryLimit = 1e7,          // 5 · 8 · 909² is over it
        SweepFeatures = [16, 64],
        SweepRows = 100,
    };

    protected override long Seed => 4;

    internal override int Execute(RunSettings settings, RunConsole console) => new GpCalibrationExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void Is_a_command_of_the_runner()
    {
        (int code, string output, _) = CommandLineTests.Run("gp-calibration --help");
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("held-back predictions").And.Contain("--data"));
    }

    [Test]
    public void Every_figure_of_a_set_is_there_and_finite()
    {
        Assert.That(Code, Is.Zero);
        JsonObject figures = Figures("whole");
        string[] methods = ["ours", "ours_nlpd", "feature_ml"];
        foreach (string name in from set in new[] { "few", "many" } from method in methods from score in new[] { "rmse", "nlpd", "coverage95", "seconds" } select $"{set}_{score}_{method}") {
            Assert.That(double.IsFinite(figures[name]!.GetValue<double>()), name);
        }
        foreach (string name in new[] { "few_rmse_exact_ml", "few_rmse_ours_kernel", "few_speedup_exact", "few_speedup_feature_space", "many_speedup_exact", "median_speedup_exact", "median_speedup_feature_space" }) {
            Assert.That(figures[name]!.GetValue<double>(), Is.Positive, name);
        }
        Assert.That(figures["sets"]!.GetValue<double>(), Is.EqualTo(2));
        foreach (string name in new[] { "sets_better_rmse", "sets_better_nlpd", "sets_no_worse_rmse", "sets_no_worse_rmse_own_kernel", "sets_better_nlpd_density_loss", "sets_density_loss_over_squared_nlpd", "sets_density_loss_over_squared_rmse" }) {
            Assert.That(figures[name]!.GetValue<double>(), Is.InRange(0, 2), name);
        }
        Assert.That(figures.ContainsKey("features_where_ours_wins"));
    }

    [Test]
    public void A_likelihood_that_does_not_fit_gives_a_lower_bound()
    {
        JsonObject figures = Figures("whole");
        Assert.That((figures["few_speedup_exact_is_lower_bound"]!.GetValue<double>(), figures["many_speedup_exact_is_lower_bound"]!.GetValue<double>()), Is.EqualTo((0, 1)));
        Assert.That(figures.ContainsKey("many_rmse_exact_ml"), Is.False);
        Assert.That(Output, Does.Contain("over the memory limit").And.Contain("≥ "));
    }

    [Test]
    public void Hyper_parameters_that_were_learnt_predict_better_than_nothing()
    {
        JsonObject figures = Figures("whole");
        foreach (string method in new[] { "ours", "feature_ml" }) {
            Assert.That(figures["many_rmse_" + method]!.GetValue<double>(), Is.LessThan(0.8), "of targets with standard deviation 1");
            Assert.That(figures["many_coverage95_" + method]!.GetValue<double>(), Is.InRange(0.8, 1));
        }
    }

    [Test]
    public void The_plots_are_there()
    {
        foreach (string plot in new[] { "error_few", "error_many", "coverage", "features" }) {
            Assert.That(File.ReadAllBytes(Folder[$"whole/plots/{plot}.png"])[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }));
        }
    }

    [TestCase(2)]
    [TestCase(8)]
    public void A_run_that_was_stopped_goes_on_with_the_same_predictions(int after)
    {
        (string name, string output) = StopAndResume(after);
        Assert.That(output, Does.Contain("Going on after"));
        Assert.That(Scores(name), Is.EqualTo(Scores("whole")));
    }

    [Test]
    public void The_kernel_can_be_chosen_and_is_kept_with_the_results()
    {
        (int code, _, string errors) = CommandLineTests.Run("gp-calibration --kernel matern72");
        Assert.That(code, Is.EqualTo(ExitCode.Misuse), errors);
        Assert.That(errors, Does.Contain("matern72").And.Contain("matern52"));
        foreach (string kernel in GpProblem.KernelNames) {
            var sizes = s_tiny with { Kernel = kernel, Generated = [new("few", 60, 2, 0.1)], Splits = 1, Steps = 2, SweepFeatures = [] };
            Assert.That(new GpCalibrationExperiment().Execute(sizes, Settings(kernel), new RunConsole(TextWriter.Null, TextWriter.Null, false, CancellationToken.None)), Is.Zero);
            Assert.That(File.ReadAllText(Folder[kernel + "/config.json"]), Does.Contain($"\"{kernel}\""));
        }
    }

    [Test]
    public void Real_tables_are_found_in_the_folder_or_in_uci_below_it()
    {
        UciGenerator.Write(Folder["data/uci/yacht"], 60, 2, 0.1, 1);
        foreach (string data in new[] { "data", "data/uci" }) {
            Assert.That(GpTables.Of(s_tiny, new RunSettings { Out = "", Data = Folder[data] }).Select(table => table.Name), Is.EqualTo(new[] { "yacht" }));
        }
        Assert.That(() => GpTables.Of(s_tiny, new RunSettings { Out = "", Data = Folder["whole"] }), Throws.InstanceOf<ExperimentException>().With.Message.Contains("has none of the sets yacht"));
    }

    // What does not depend on the clock.
    private KeyValuePair<string, double>[] Scores(string run) => [.. Figures(run)
        .Where(figure => figure.Key.Contains("_rmse_") || figure.Key.Contains("_nlpd_") || figure.Key.Contains("_coverage95_"))
        .Select(figure => KeyValuePair.Create(figure.Key, figure.Value!.GetValue<double>()))];
}
