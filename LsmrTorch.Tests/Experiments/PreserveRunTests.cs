using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Preserve;
using LsmrTorch.Experiments.Running;
using LsmrTorch.Experiments.Sparsity;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds, and a single step of it.</summary>
public class PreserveRunTests : TrainingRunTests
{
    private static readonly PreserveSizes s_tiny = new() {
        Training = new SparsitySizes { Depth = 8, TrainImages = 60, TestImages = 40, BatchSize = 16, DenseEpochs = 2, FurtherEpochs = 1, SettleBatches = 2 },
        Steps = 2,
        NewImages = 8,
        Protected = 4,
        Weights = [0.5, 2],
        Seeds = 1,
        Tuning = 20,
        LearningRate = 1e-3,
    };

    protected override long Seed => 2;

    internal override int Execute(RunSettings settings, RunConsole console) => new PreserveExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void The_figures_are_finite_numbers_under_the_names_that_were_promised()
    {
        Assert.That(Code, Is.Zero);
        JsonObject figures = Figures("whole");
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(
            from task in new[] { "classes", "turned" }
            from method in new[] { "plain", "ours", "replay", "distillation", "replay_equal_time", "distillation_equal_time" }
            from figure in new[] { "old_accuracy", "new_accuracy", "logit_change", "seconds_per_step" }
            select $"preserve_{task}_{method}_{figure}"));
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(double.IsFinite(value!.GetValue<double>()), name);
        }
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(11)]
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, _) = StopAndResume(after);
        HasFiguresOfTheWhole(name);
    }

    /// <summary>The change of protected logits in a step of length η: of ours O(η²), of a plain one O(η).</summary>
    [Test]
    public void A_constrained_step_changes_protected_logits_to_second_order()
    {
        using var scope = NewDisposeScope();
        using var old = new ResNet(8, 10, 1);
        old.train();
        using (no_grad()) {
            for (int i = 0; i < 20; i++) {      // so that the running statistics are those of such images
                old.forward(Problems.Random(i, 32, 3, 32, 32).to(ScalarType.Float32)).Dispose();
            }
        }
        double[] rates = [0.16, 4e-2];
        double[] ours = [.. rates.Select(rate => Change("ours", rate))], plain = [.. rates.Select(rate => Change("plain", rate))];
        Assert.That(plain[0] / plain[1], Is.InRange(2, 8), "a line: 4");
        Assert.That(ours[0] / ours[1], Is.GreaterThan(1.5 * plain[0] / plain[1]), "a parabola: 16, up to the solve's tolerance and the quotient's error, which are lines");
        Assert.That(ours[1], Is.LessThan(0.01 * plain[1]));

        double Change(string method, double rate)
        {
            using var batch = new Batch(Problems.Random(50, 8, 3, 32, 32).to(ScalarType.Float32), arange(8, ScalarType.Int64));
            using var guarded = new Batch(Problems.Random(51, 4, 3, 32, 32).to(ScalarType.Float32), arange(4, ScalarType.Int64));
            using var tuning = new FineTuning(method, 0, old, s_tiny with { Tolerance = 1e-4, Iterations = 300, Rate = 1 }, (new Outputs(0, 10), new Outputs(0, 10)), CPU);
            using var guard = no_grad();
            Tensor before = tuning.Model.forward(guarded.Images);
            Assert.That(before.sub(old.forward(guarded.Images)).abs().max().item<float>(), Is.Zero, "the start is feasible");
            using (enable_grad()) {
                tuning.Step(batch, guarded, rate);
            }
            return tuning.Model.forward(guarded.Images).sub(before).norm().item<float>();
        }
    }
}
