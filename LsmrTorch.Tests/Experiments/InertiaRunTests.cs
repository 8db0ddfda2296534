using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Inertia;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds.</summary>
public class InertiaRunTests : TrainingRunTests
{
    private static readonly InertiaSizes s_tiny = new() {
        FewPoints = 20,
        ManyPoints = 60,
        HeldOutPoints = 20,
        TestPoints = 20,
        Seeds = 1,
        Hidden = 8,
        Scalars = 3,
        Vectors = 2,
        Steps = 12,
        BatchSize = 10,
        Penalties = [0.1, 1],
        FunctionTimeDescents = 2,
        FunctionTimePenaltyDescents = 2,
        WeightsTimeDescents = 3,
        WeightsTimeTensorDescents = 2,
        FunctionPoints = 3,
        FunctionWarmUp = 3,
        RecordEvery = 4,
        CheckpointEvery = 4,
    };

    internal override int Execute(RunSettings settings, RunConsole console) => new InertiaExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void The_figures_are_finite_numbers_under_the_names_that_were_promised()
    {
        Assert.That(Code, Is.Zero);
        JsonObject figures = Figures("whole");
        var names = from measure in new[] { "inertia_error", "inertia_equivariance_error", "inertia_seconds_per_step" }
                    from network in new[] { "plain", "augmentation", "penalty", "f", "w", "tensors_augmentation", "tensors_augmentation_w_time", "augmentation_w_time", "augmentation_f_time", "penalty_f_time" }
                    select $"{measure}_{network}";
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(names.Append("inertia_augmentation_over_ours_equivariance_error").Append("inertia_error_f_few")));
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(value is not null && double.IsFinite(value.GetValue<double>()), name);
        }
    }

    [TestCase(4)]       // f after its warm-up
    [TestCase(12)]      // between two problems
    [TestCase(20)]
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, string output) = StopAndResume(after);
        Assert.That(output, Does.Contain($"Going on after step {after} of 24."));
        HasMetricsOfTheWhole(name);
        HasFiguresOfTheWhole(name);
    }
}
