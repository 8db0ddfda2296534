using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using LsmrTorch.Experiments.Sparsity;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole sweep at a size of seconds.</summary>
public class SweepRunTests : TrainingRunTests
{
    private static readonly SweepSizes s_tiny = new() {
        Training = new SparsitySizes { Depth = 8, TrainImages = 64, TestImages = 20, BatchSize = 16, DenseEpochs = 1, FurtherEpochs = 2, ChooseEvery = 1, SettleBatches = 1 },
        Shares = [0.5, 0.9],
        Penalties = [1e-3, 1e-2],
        Seeds = 2,
        HeldOut = 20,
        Tuning = 12,
    };

    protected override long Seed => 5;

    internal override int Execute(RunSettings settings, RunConsole console) => new SweepExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void The_figures_are_finite_numbers_under_the_names_that_were_promised()
    {
        Assert.That(Code, Is.Zero);
        JsonObject figures = Figures("whole");
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(new[] {
            "generated_50_ours_accuracy", "generated_90_ours_accuracy", "generated_90_gradual_accuracy", "generated_90_oneshot_accuracy", "generated_90_l1_accuracy",
            "generated_90_ours_minus_gradual", "generated_90_ours_minus_gradual_low", "generated_90_ours_minus_gradual_high", "generated_90_ours_minus_dense_longer",
            "generated_90_ours_longer_ramp_accuracy", "generated_90_ours_slow_accuracy", "generated_90_ours_layerwise_accuracy", "generated_90_ours_fine_tuned_accuracy",
            "generated_90_ours_layerwise_minus_ours", "generated_90_ours_layerwise_minus_ours_low", "generated_90_ours_fine_tuned_minus_dense_longer_high",
            "generated_90_count_share_left", "generated_90_count_accuracy_before_zeroing", "generated_dense_longer_accuracy",
        }));
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(double.IsFinite(value!.GetValue<double>()), name);
        }
    }

    [Test]
    public void Every_network_has_the_zeros_that_were_promised()
    {
        JsonObject figures = Figures("whole");
        foreach (string method in new[] { "ours", "gradual", "oneshot" }) {
            foreach (double share in s_tiny.Shares) {
                Assert.That(Number($"generated_{100 * share:F0}_{method}_sparsity"), Is.InRange(share, share + 1e-4), $"{method} at {share}");
            }
        }
        foreach (string variant in SweepCell.Variants) {
            Assert.That(Number($"generated_90_{variant}_sparsity"), Is.InRange(0.9, 0.9 + 1e-4), variant);
        }
        Assert.That(Number("generated_90_l1_sparsity"), Is.GreaterThanOrEqualTo(0.9), "and what the proximal steps made zero besides");

        double Number(string name) => figures[name]!.GetValue<double>();
    }

    [TestCase(1)]
    [TestCase(14)]  // the last of the first seed
    [TestCase(16)]
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, string output) = StopAndResume(after);
        Assert.That(output, Does.Contain($"Going on after {after} continuations."));
        HasFiguresOfTheWhole(name);
    }

    [Test]
    public void The_interval_of_a_paired_difference_is_students()
    {
        // Three differences 0.01, 0.03, 0.05: mean 0.03, deviation 0.02, t = 4.3027 for two degrees of freedom.
        var difference = PairedDifference.Of([0.51, 0.63, 0.75], [0.5, 0.6, 0.7]);
        Assert.That(difference.Mean, Is.EqualTo(0.03).Within(1e-12));
        Assert.That(difference.High - difference.Mean, Is.EqualTo(4.302652730 * 0.02 / Math.Sqrt(3)).Within(2e-6), "the table has five digits");
        Assert.That(difference.Mean - difference.Low, Is.EqualTo(difference.High - difference.Mean).Within(1e-12));
    }
}
