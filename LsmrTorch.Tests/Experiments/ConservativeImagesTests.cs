using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Conservativeness;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>Score models of images: what is measured of them, and the whole experiment at a size of seconds.</summary>
public class ConservativeImagesTests : TrainingRunTests
{
    private static readonly ConservativenessSizes s_tiny = ConservativenessSizes.ForImages("smoke", "generated") with {
        Images = new ImageSizes { Side = 4, Width = 4, Multipliers = [1, 2], Blocks = 1 },
        Batch = 6,
        Points = 2,
        Steps = 24,
        WarmUpSteps = 14,
        PenaltyWarmUpSteps = 6,
        MetricSteps = 4,
        Penalties = [1, 10],
        LongPenalty = 5,
        LongSteps = 2,
        Levels = 3,
        TestPoints = 4,
        TestProbes = 3,
        Samples = 3,
        FlowSteps = 3,
        RecordEvery = 6,
        CheckpointEvery = 4,
    };

    protected override long Seed => 3;

    internal override int Execute(RunSettings settings, RunConsole console) => new ConservativeImagesExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void Images_are_means_of_squares_normalised_by_the_training_images()
    {
        using var scope = NewDisposeScope();
        using Cifar10 data = Cifar10Generator.Generate(30, 10, 4);
        var images = new ScoreImages(data.TrainImages, data.TestImages, 8);
        Tensor squares = data.TrainImages.to(float64).view(30, 3, 8, 4, 8, 4).mean([3L, 5]);
        Tensor mean = squares.mean([0L, 2, 3], keepdim: true), deviation = squares.sub(mean).square().sum([0L, 2, 3], keepdim: true).div((30 * 64) - 1).sqrt();
        double[] expected = squares.sub(mean).div(deviation).reshape(-1).data<double>().ToArray();
        // float32 sums of pixels up to 255.
        Assert.That(images.Training.Select(value => (double)value), Is.EqualTo(expected).Within(1e-4));
        Assert.That((images.Dimension, images.Test.Length), Is.EqualTo((192, 1920)));
        Assert.That(() => new ScoreImages(data.TrainImages, data.TestImages, 5), Throws.ArgumentException.With.Message.Contains("5"));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void Photographs_of_a_folder_are_images_too(bool hasTraining)
    {
        using var root = new TemporaryFolder();
        byte[] shades = [10, 40, 90, 160, 250, 200, 120, 60, 30, 0];
        for (int i = 0; i < shades.Length; i++) {
            Photograph(root[$"val/c{i}/a.png"], shades[i]);
        }
        File.WriteAllText(root["val/c9/b.png"], "no image");
        for (int i = 0; hasTraining && i < 6; i++) {
            Photograph(root[$"train/c{i}/a.png"], (byte)(2 * shades[i] / 3));
        }
        var output = new StringWriter();
        var console = new RunConsole(output, TextWriter.Null, false, CancellationToken.None);
        Assert.That((FolderImages.IsAt(root.FullName), FolderImages.IsAt(root["val"])), Is.EqualTo((true, false)));
        ScoreImages images = null!;
        Check.LeavesNoTensors(() => images = FolderImages.Read(root.FullName, 8, console));
        Assert.That(output.ToString(), Does.Contain("b.png"));
        double[] training = hasTraining ? [.. shades.Take(6).Select(shade => (double)(byte)(2 * shade / 3))] : [.. shades.Where((_, i) => i % 5 != 0).Select(shade => (double)shade)];
        double[] test = hasTraining ? [.. shades.Select(shade => (double)shade)] : [.. shades.Where((_, i) => i % 5 == 0).Select(shade => (double)shade)];
        // The first channel is the shade everywhere, so that its mean and deviation are those of the shades, each in 64 pixels.
        double mean = training.Average(), deviation = Math.Sqrt(training.Sum(shade => 64 * (shade - mean) * (shade - mean)) / ((64 * training.Length) - 1));
        Assert.That(FirstChannel(images.Training), Is.EqualTo(training.Select(shade => (shade - mean) / deviation)).Within(1e-4));        // float32 sums of values up to 255
        Assert.That(FirstChannel(images.Test), Is.EqualTo(test.Select(shade => (shade - mean) / deviation)).Within(1e-4));

        IEnumerable<double> FirstChannel(float[] numbers) => numbers.Where((_, i) => i % 192 == 5).Select(value => (double)value);

        static void Photograph(string path, byte shade)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using var bitmap = new SkiaSharp.SKBitmap(40, 64);
            bitmap.Erase(new SkiaSharp.SKColor(shade, (byte)(shade / 2), (byte)(255 - shade)));
            using FileStream file = File.Create(path);
            bitmap.Encode(file, SkiaSharp.SKEncodedImageFormat.Png, 100);
        }
    }

    [Test]
    public void Too_few_photographs_are_an_error_of_one_sentence()
    {
        using var root = new TemporaryFolder();
        Directory.CreateDirectory(root["val/c0"]);
        File.WriteAllText(root["val/c0/a.png"], "no image");
        var console = new RunConsole(TextWriter.Null, TextWriter.Null, false, CancellationToken.None);
        Assert.That(() => FolderImages.Read(root.FullName, 8, console), Throws.InstanceOf<ExperimentException>().With.Message.Contains("has 0 images"));
    }

    [Test]
    public void The_residual_and_the_asymmetry_are_those_of_all_of_S()
    {
        using var scope = NewDisposeScope();
        ImageTask task = Task();
        using nn.Module<Tensor, Tensor, Tensor> network = task.NewNetwork();
        NoisyPoints points = task.Batch("rotation", 3, 2);
        Tensor S = Jacobian(network, points).mul(points.Sigma.to(float64).view(-1, 1, 1));        // of σ² s
        Tensor v = task.Probes("probes", 3, points.Points).to(float64).unsqueeze(2);
        Tensor expected = S.sub(S.transpose(1, 2)).matmul(v).reshape(-1);
        Rotation rotation = new Rotation(task, network, 2, JacobianProducts.Differences).At(3);
        // Sums of 48 products in float32, against entries of their size.
        Check.Close(rotation.Residual().detach().to(float64).reshape(-1), expected, 1e-4, "c", floor: 0.1);
        Check.Close(rotation.Constraint.Evaluate([.. network.parameters()]).to(float64).reshape(-1), expected, 1e-4, "the constraint", floor: 0.1);

        using var test = new FieldTest(s_tiny, task);
        NoisyPoints at = task.AtLevels("test", test.Levels, s_tiny.TestPoints);
        Tensor all = Jacobian(network, at);
        var rotations = new double[3];
        var sizes = new double[3];
        for (int probe = 0; probe < s_tiny.TestProbes; probe++) {
            Tensor w = task.Probes("test probes", probe, at.Points).to(float64).unsqueeze(2);
            Tensor transposed = all.transpose(1, 2).matmul(w), difference = all.matmul(w).sub(transposed);
            for (int level = 0; level < 3; level++) {
                rotations[level] += difference.narrow(0, 4 * level, 4).square().sum().item<double>() / 4;
                sizes[level] += transposed.narrow(0, 4 * level, 4).square().sum().item<double>();
            }
        }
        Assert.That(test.Asymmetries(network), Is.EqualTo(rotations.Zip(sizes, (rotation, size) => rotation / size).ToArray()).Within(0.1).Percent);
        Assert.That(test.AsymmetryError(network), Is.GreaterThan(0).And.LessThan(rotations.Zip(sizes, (rotation, size) => rotation / size).Average()));
        Check.LeavesNoTensors(() => {
            test.Asymmetries(network);
            test.AsymmetryError(network);
        });
    }

    [Test]
    public void Steps_by_differences_leave_no_tensors_and_reduce_the_constraint()
    {
        using var scope = NewDisposeScope();
        using var lane = new ConstrainedLane(s_tiny with { WarmUpSteps = 0, MetricSteps = 0, Rate = 1, Steps = 100 }, Task());
        lane.Step(0);
        Check.LeavesNoTensors(() => lane.Step(1));
        Assert.That(lane.LastStep!.Projected);
        Assert.That(lane.LastStep.PredictedConstraintNorm, Is.LessThan(lane.LastStep.ConstraintNorm));
    }

    [Test]
    public void The_last_step_leaves_the_mean_of_the_weights_of_those_that_are_averaged()
    {
        using var scope = NewDisposeScope();
        ConservativenessSizes sizes = s_tiny with { Steps = 4, AveragedSteps = 3 };
        using var averaged = new ScoreLane("plain", sizes, Task());
        using var last = new ScoreLane("plain", sizes with { AveragedSteps = 0 }, Task());
        Tensor sum = zeros(1, float64);
        for (int step = 0; step < 4; step++) {
            averaged.Step(step);
            last.Step(step);
            if (step > 0) {
                sum = sum.add(Weights(last));
            }
        }
        // Means of three in float32, of weights below 1.
        Check.Close(Weights(averaged), sum.div(3), 1e-6, "the mean", floor: 1);

        static Tensor Weights(ScoreLane lane) => cat([.. lane.Network.parameters().Select(p => p.detach().reshape(-1))]).to(float64);
    }

    [Test]
    public void The_figures_are_finite_numbers_under_the_names_that_were_promised()
    {
        Assert.That(Code, Is.Zero);
        JsonObject figures = Figures("whole");
        var names = from measure in new[] { "asymmetry_generated", "asymmetry_standard_error_generated", "score_loss_generated", "seconds_per_step" }
                    from network in new[] { "plain", "penalty", "penalty_long", "ours" }
                    select $"{measure}_{network}";
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(names.Append("asymmetry_generated_plain_over_ours").Append("score_loss_generated_ours_over_plain")));
        foreach ((string name, JsonNode? value) in figures) {
            Assert.That(double.IsFinite(value!.GetValue<double>()), name);
        }
        using SkiaSharp.SKBitmap samples = SkiaSharp.SKBitmap.Decode(Folder["whole/plots/samples-generated.png"]);
        Assert.That((samples.Width, samples.Height), Is.EqualTo((6 + (3 * 54), 6 + (4 * 54))));        // three images of the data, plain, the penalty, ours
    }

    [TestCase(8)]       // plain and the penalties
    [TestCase(20)]      // all networks
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, string output) = StopAndResume(after);
        Assert.That(output, Does.Contain($"Going on after step {after} of 24."));
        HasFiguresOfTheWhole(name);
    }

    // ∂(σ s)ᵢ/∂xⱼ at each point, in float64, row by row.
    private static Tensor Jacobian(nn.Module<Tensor, Tensor, Tensor> network, NoisyPoints points)
    {
        Tensor x = points.Points.detach().requires_grad_();
        Tensor field = network.forward(x, points.Sigma);
        return stack([.. Enumerable.Range(0, (int)field.size(1)).Select(i => Gradient.Of(field.select(1, i).sum(), x)[0])], 1).to(float64);
    }

    private static ImageTask Task()
    {
        using Cifar10 data = Cifar10Generator.Generate(40, 20, 5);
        return new ImageTask("generated", new ScoreImages(data.TrainImages, data.TestImages, 4), s_tiny, 5, CPU);
    }
}
