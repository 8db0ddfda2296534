using LsmrTorch.Datasets;
using LsmrTorch.Experiments.GpCalibration;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The losses of gp-calibration and their gradients, beside finite differences and autograd through a factorisation.</summary>
public class GpMethodTests
{
    private static readonly GpSizes s_exact = GpSizes.Of("smoke") with {
        Features = 20,
        Tolerance = 1e-12,
        GradientTolerance = 1e-12,
        MaxIterations = 2000,
    };

    [Test]
    public void The_gradient_of_the_calibration_error_is_that_of_central_differences([Values(0, 1)] int preconditionerEvery, [Values(1 << 20, 200)] long mostEntries)
    {
        using UciSplit data = UciGenerator.Generate(90, 3, 0.2, 1).Split(0);
        using var problem = new GpProblem(data, s_exact with { PreconditionerEvery = preconditionerEvery, MostEntries = mostEntries }, 5);
        using var method = new CalibratedFeatures(problem);
        method.Step(0);
        double[] found = Problems.Values(method.Hyper.Free.grad!);
        double[] expected = CentralDifferences(method);
        // h = 1e-5 leaves h² and the solves' 1e-12 times a condition of some thousands over h.
        Assert.That(found, Is.EqualTo(expected).Within(1e-6 * expected.Max(Math.Abs)));
        Assert.That(Value(method), Is.EqualTo(method.Loss()).Within(1e-9), "by the solver, and by a Cholesky factor");
    }

    [Test]
    public void The_gradient_of_the_density_is_that_of_central_differences_though_only_one_solve_makes_the_variances([Values(0, 1)] int preconditionerEvery, [Values(20, 100)] int features)
    {
        using UciSplit data = UciGenerator.Generate(90, 3, 0.2, 1).Split(0);        // 81 examples, 54 in a fit: more than features, and fewer
        using var problem = new GpProblem(data, s_exact with { PreconditionerEvery = preconditionerEvery, Features = features, VarianceTolerance = 1e-12 }, 5);
        using var method = new CalibratedDensities(problem);
        method.Step(0);
        double[] expected = CentralDifferences(method);
        Assert.That(Problems.Values(method.Hyper.Free.grad!), Is.EqualTo(expected).Within(1e-6 * expected.Max(Math.Abs)));
        Assert.That(Value(method), Is.EqualTo(method.Loss()).Within(1e-9), "by the solver, and by a Cholesky factor");
        Assert.That(method.VarianceIterations, Is.Positive);
    }

    [Test]
    public void An_error_of_the_variances_counts_by_its_square()
    {
        using UciSplit data = UciGenerator.Generate(400, 3, 0.2, 1).Split(0);
        // A hundred times the tolerance is ten thousand times the error; iterations are whole numbers, so a tenth of that is room.
        Assert.That(Error(1e-3) / Error(1e-5), Is.GreaterThan(1e3));

        double Error(double tolerance)
        {
            using var problem = new GpProblem(data, s_exact with { VarianceTolerance = tolerance, Variances = 1000 }, 5);
            using var method = new CalibratedDensities(problem);
            return Math.Abs(Value(method) - method.Loss());
        }
    }

    [Test]
    public void Of_the_held_back_examples_other_ones_have_their_variances_in_the_next_draw()
    {
        using UciSplit data = UciGenerator.Generate(90, 3, 0.2, 1).Split(0);
        using var problem = new GpProblem(data, s_exact with { PreconditionerEvery = 2, Variances = 5 }, 5);
        using var method = new CalibratedDensities(problem);
        double[] losses = [.. Enumerable.Range(0, 4).Select(draw => Value(method, draw))];
        Assert.That(losses.Distinct().Count(), Is.EqualTo(4));
        Assert.That(losses.Average(), Is.EqualTo(method.Loss()).Within(1), "of the same examples");
    }

    [Test]
    public void The_gradient_with_the_exact_kernel_is_that_of_central_differences()
    {
        using UciSplit data = UciGenerator.Generate(60, 2, 0.2, 1).Split(0);
        using var problem = new GpProblem(data, s_exact, 5);
        using var method = new CalibratedKernel(problem);
        method.Step(0);
        double[] expected = CentralDifferences(method);
        Assert.That(Problems.Values(method.Hyper.Free.grad!), Is.EqualTo(expected).Within(1e-6 * expected.Max(Math.Abs)));
    }

    [Test]
    public void The_gradients_of_the_likelihoods_are_that_of_central_differences([Values(20, 100)] int features)
    {
        using UciSplit data = UciGenerator.Generate(60, 2, 0.2, 1).Split(0);        // 54 examples: one number is less, one more
        using var problem = new GpProblem(data, s_exact with { Features = features }, 5);
        foreach (Method method in new Method[] { new ExactLikelihood(problem), new FeatureLikelihood(problem) }) {
            using (method) {
                method.Step(0);
                double[] expected = CentralDifferences(method);
                Assert.That(Problems.Values(method.Hyper.Free.grad!), Is.EqualTo(expected).Within(1e-7 * expected.Max(Math.Abs)), method.Name);
            }
        }
    }

    [Test]
    public void The_gradient_of_the_exact_likelihood_is_that_through_the_factor()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        Tensor B = randn(12, 12, float64, generator: generator), y = randn(12, float64, generator: generator);
        Tensor K = B.mm(B.t()).requires_grad_(), square = tensor(0.3).requires_grad_();
        Tensor factor = linalg.cholesky(K + square * eye(12, 12, float64));
        Tensor alpha = y.unsqueeze(1).cholesky_solve(factor).squeeze(1);
        Tensor loss = (0.5 * y.dot(alpha) + factor.diagonal().log().sum()) / 12 + 0.5 * Math.Log(2 * Math.PI);
        Tensor[] expected = Gradient.Of(loss, K, square);
        (double value, Tensor ofC) = ExactLikelihood.Gradient(K.detach(), square.detach(), y);
        Assert.That(value, Is.EqualTo(loss.item<double>()).Within(1e-13));
        Tensor symmetric = 0.5 * (expected[0] + expected[0].t());        // autograd spreads it over one triangle as it likes
        Check.Close(ofC, symmetric, 1e-11, "gradient of K");
        Assert.That(ofC.trace().item<double>(), Is.EqualTo(expected[1].item<double>()).Within(1e-12 * Math.Abs(expected[1].item<double>()) + 1e-12));
    }

    [Test]
    public void Feature_space_and_kernel_of_the_features_are_the_same_likelihood()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2, CPU);
        Tensor phi = randn(15, 6, float64, generator: generator), y = randn(15, float64, generator: generator), square = tensor(0.2);
        (double value, Tensor ofPhi, Tensor ofSquare) = FeatureLikelihood.Gradient(phi, square, y);
        (double expected, Tensor ofC) = ExactLikelihood.Gradient(phi.mm(phi.t()), square, y);
        Assert.That(value, Is.EqualTo(expected).Within(1e-12));
        Check.Close(ofPhi, 2 * ofC.mm(phi), 1e-11, "gradient of Φ");
        Check.Close(ofSquare, ofC.trace(), 1e-11, "gradient of σ²");
    }

    [Test]
    public void Scaling_amplitude_and_noise_together_moves_variances_alone()
    {
        using UciSplit data = UciGenerator.Generate(60, 2, 0.2, 1).Split(0);
        using var problem = new GpProblem(data, s_exact, 5);
        using var method = new CalibratedFeatures(problem);
        using var scope = NewDisposeScope();
        (Tensor mean, Tensor variance) = method.Predict();
        method.Hyper.ScaleTogether(1.7);
        (Tensor after, Tensor variances) = method.Predict();
        Check.Close(after, mean, 1e-9, "means");
        Check.Close(variances, 1.7 * 1.7 * variance, 1e-9, "variances");
        Assert.That(method.Hyper.Read()[^2..], Is.EqualTo(new[] { 1.7, 1.7 * 0.3 }).Within(1e-12));
    }

    [Test]
    public void The_time_to_one_percent_is_that_after_the_last_loss_above_it()
    {
        GpResult Of(params double[] losses) => new() {
            Set = "",
            Split = 0,
            Method = "",
            Count = 1,
            Inputs = 1,
            End = GpEnd.Finished,
            Moments = [.. losses.Select((loss, i) => new GpMoment(i, 10 * i, loss, null))],
        };
        // From 1 to −1: within 1 % is up to −0.98.
        Assert.That(Of(1, 0, -0.99, -0.9, -0.985, -1, -1, -1, -1, -1).SecondsToOnePercent(), Is.EqualTo(40));
        Assert.That(Of(1, -1, -1, -1, -1).SecondsToOnePercent(), Is.EqualTo(10));
        Assert.That(Of(1, 1, 1, 1, 1).SecondsToOnePercent(), Is.Zero);
    }

    [Test]
    public void Scores_are_those_of_the_normal_density()
    {
        using var scope = NewDisposeScope();
        (double rmse, double nlpd, double[] coverage) = GpScores.Of(tensor(new[] { 0.0, 1, 5 }), tensor(new[] { 1.0, 4, 1 }), tensor(new[] { 1.0, -1, 5 }));
        Assert.That(rmse, Is.EqualTo(Math.Sqrt(5.0 / 3)).Within(1e-14));
        Assert.That(nlpd, Is.EqualTo((1.5 * Math.Log(2 * Math.PI) + Math.Log(2) + 1) / 3.0).Within(1e-13));
        Assert.That(coverage[6], Is.EqualTo(1));                // 70 %: 1.04 standard deviations; the errors are 1, 1 and 0
        Assert.That(coverage[0], Is.EqualTo(1.0 / 3).Within(1e-14));
    }

    [Test]
    public void Ours_wins_from_the_features_on_after_which_it_always_does()
    {
        SweepPoint[] sweep = [new(256, 1, 2), new(512, 3, 2), new(1024, 3, 4), new(2048, 5, 9)];
        Assert.That(GpReport.FeaturesWhereOursWins(sweep), Is.EqualTo(1024));
        Assert.That(GpReport.FeaturesWhereOursWins([.. sweep, new(4096, 9, 8)]), Is.Null);
    }

    private static double Value(CalibratedFeatures method, int draw = 0)
    {
        using var scope = NewDisposeScope();
        return method.StepLoss(draw).Loss.item<double>();
    }

    private static double[] CentralDifferences(Method method)
    {
        const double H = 1e-5;
        double[] at = Problems.Values(method.Hyper.Free);
        return [.. at.Select((value, i) => (Loss(i, value + H) - Loss(i, value - H)) / (2 * H))];

        double Loss(int i, double value)
        {
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            double[] moved = [.. at];
            moved[i] = value;
            method.Hyper.Free.copy_(tensor(moved));
            double loss = method.Loss();
            method.Hyper.Free.copy_(tensor(at));
            return loss;
        }
    }
}
