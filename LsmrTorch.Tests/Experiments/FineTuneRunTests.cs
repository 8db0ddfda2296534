using System.Text.Json.Nodes;
using LsmrTorch.Experiments.FineTune;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using SkiaSharp;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment `imagenet` at a size of seconds, on images that the test draws.</summary>
public class FineTuneRunTests : TrainingRunTests
{
    private static readonly FineTuneSizes s_tiny = new() { IsSwinS = false, BatchSize = 3, Steps = 12, ChooseEvery = 2, CheckpointEvery = 4, LearningRate = 0.01 };

    protected override long Seed => 5;

    protected override string Data => Folder["images"];

    internal override int Execute(RunSettings settings, RunConsole console) => new FineTuneExperiment().Execute(s_tiny, settings, console);

    protected override (int Code, string Output) RunWhole()
    {
        var random = new Random(1);
        foreach (string part in new[] { "train", "val" }) {
            for (int i = 0; i < 8; i++) {
                string folder = Folder[$"images/{part}/class{i % 2}"];
                Directory.CreateDirectory(folder);
                using var picture = new SKBitmap(40, 48);
                picture.Erase(new SKColor((byte)random.Next(256), (byte)(200 * (i % 2)), (byte)random.Next(256)));
                using SKData data = picture.Encode(SKEncodedImageFormat.Png, 100);
                File.WriteAllBytes(Path.Combine(folder, $"{i}.png"), data.ToArray());
            }
        }
        return base.RunWhole();
    }

    [Test]
    public void Half_of_the_weights_are_zero_and_the_figures_are_finite()
    {
        Assert.That(Code, Is.Zero);
        Assert.That(Output, Does.Contain("random weights").And.Contains("8 training and 8 test images"));
        JsonObject figures = Figures("whole");
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(double.IsFinite(value!.GetValue<double>()), name);
        }
        Assert.That(figures["imagenet_50_ours_sparsity"]!.GetValue<double>(), Is.InRange(0.5, 0.5001));
        Assert.That(figures["imagenet_50_dense_sparsity"]!.GetValue<double>(), Is.LessThan(0.01));
        Assert.That(figures["imagenet_50_constraint_norm_last"]!.GetValue<double>(), Is.LessThan(1e-6), "κ = 1 for the last half of the steps, and float32");
    }

    [TestCase(4)]       // while weights are being chosen
    [TestCase(8)]
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, _) = StopAndResume(after);
        HasFiguresOfTheWhole(name);
    }

    [Test]
    public void Without_data_one_sentence_says_what_is_needed()
    {
        (int code, _, string error) = CommandLineTests.Run($"imagenet --out {Folder["none"]}");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, Does.Contain("--data DIR with a folder for each class"));
    }
}
