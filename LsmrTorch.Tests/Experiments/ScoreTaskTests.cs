using LsmrTorch.Experiments.Conservativeness;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

public class ScoreTaskTests
{
    private static readonly ConservativenessSizes s_sizes = new() {
        Steps = 10,
        WarmUpSteps = 5,
        PenaltyWarmUpSteps = 2,
        MetricSteps = 3,
        Hidden = 16,
        TestPoints = 40,
        Levels = 3,
        Pairs = 3,
        Nodes = 200,
    };

    [Test]
    public void A_density_that_is_not_there_is_named() =>
        Assert.That(() => new PlaneTask("rings", s_sizes, 1, CPU), Throws.ArgumentException.With.Message.Contains("eight-gaussians"));

    [Test]
    public void The_points_follow_from_seed_use_and_number_alone()
    {
        using var scope = NewDisposeScope();
        NoisyPoints batch = Task(3).Batch("batch", 7, 20), same = Task(3).Batch("batch", 7, 20);
        Assert.That(Numbers(same.Points), Is.EqualTo(Numbers(batch.Points)));
        foreach (NoisyPoints other in new[] { Task(3).Batch("batch", 8, 20), Task(4).Batch("batch", 7, 20), Task(3).Batch("rotation", 7, 20) }) {
            Assert.That(Numbers(other.Points), Is.Not.EqualTo(Numbers(batch.Points)));
        }
        Assert.That(Numbers(batch.Sigma).All(sigma => sigma is >= 0.0999f and <= 3.0001f));
        Assert.That(Numbers(Task(3).Probes("probes", 7, batch.Points)).Select(Math.Abs).Distinct(), Is.EqualTo(new[] { 1f }));
    }

    [Test]
    public void The_residual_is_the_rotation_of_the_score_by_central_differences()
    {
        using var scope = NewDisposeScope();
        ScoreTask task = Task(3);
        using var network = new ScoreNetwork(2, 16, 3);
        Rotation rotation = new Rotation(task, network, 12).At(5);
        NoisyPoints points = task.Batch("rotation", 5, 12);
        Tensor probes = task.Probes("probes", 5, points.Points);
        Tensor[] along = [.. Enumerable.Range(0, 2).Select(i => Slope(network, points, i).mul(points.Sigma))];     // ∂(σ² s)/∂xᵢ
        Tensor curl = along[1].select(1, 0).sub(along[0].select(1, 1));     // S₁₂ − S₂₁
        Tensor expected = stack([curl.mul(probes.select(1, 1)), curl.mul(probes.select(1, 0)).neg()], 1).reshape(-1);
        // float32 by differences of 1e-2: eps/1e-2 of rounding and 1e-4 of truncation.
        Check.Close(rotation.Residual().detach().reshape(-1), expected.detach(), 2e-3, "c", floor: 1);
        Check.Close(rotation.Constraint.Evaluate([.. network.parameters()]).reshape(-1), rotation.Residual().detach().reshape(-1), 1e-5, "the constraint and the penalty", floor: 1);
    }

    [Test]
    public void The_asymmetry_is_that_of_S_by_central_differences()
    {
        using var scope = NewDisposeScope();
        ScoreTask task = Task(3);
        using var network = new ScoreNetwork(2, 16, 3);
        using var test = new FieldTest(s_sizes, task);
        NoisyPoints points = task.AtLevels("test", test.Levels, s_sizes.TestPoints);
        Tensor S = stack([Slope(network, points, 0), Slope(network, points, 1)], 2).to(float64);      // (point, output, input)
        Tensor squares = S.mul(S).sum([1L, 2L]), products = S.mul(S.transpose(1, 2)).sum([1L, 2L]);
        Tensor expected = squares.sub(products).div(squares).mul(0.5).view(3, -1).mean([1L]);
        Assert.That(test.Asymmetries(network), Is.EqualTo(expected.data<double>().ToArray()).Within(2e-3));
        Assert.That(expected.min().item<double>(), Is.GreaterThan(0.02));       // there was something to measure
    }

    [Test]
    public void The_loss_of_a_score_of_zero_is_the_mean_square_of_the_noise()
    {
        using var scope = NewDisposeScope();
        ScoreTask task = Task(3);
        using ScoreNetwork network = Constant(0, 0);
        using var test = new FieldTest(s_sizes, task);
        NoisyPoints points = task.AtLevels("test", test.Levels, s_sizes.TestPoints);
        double[] expected = points.Noise.to(float64).square().sum(1L, false).view(3, -1).mean([1L]).data<double>().ToArray();
        Assert.That(test.Losses(network), Is.EqualTo(expected).Within(1e-5));
        NoisyPoints batch = task.Batch("batch", 0, 30);
        Assert.That(ScoreTask.Loss(network, batch).item<float>(), Is.EqualTo(batch.Noise.square().sum(1L, false).mean().item<float>()).Within(1e-5));
    }

    [Test]
    public void A_constant_score_has_a_log_density_and_any_other_depends_on_the_path()
    {
        using var scope = NewDisposeScope();
        ScoreTask task = Task(3);
        using var test = new FieldTest(s_sizes, task);
        using (ScoreNetwork constant = Constant(1, -2)) {
            Assert.That(test.PathDependence(constant).Max(), Is.LessThan(1e-5));
        }

        // The same integrals by the trapezoidal rule, point by point.
        using var network = new ScoreNetwork(2, 16, 3);
        float[] ends = Numbers(task.AtLevels("ends", test.Levels, 2 * s_sizes.Pairs).Points);
        double loop = 0, line = 0;
        for (int pair = 0; pair < s_sizes.Pairs; pair++) {
            int a = 2 * pair, b = 2 * (pair + s_sizes.Pairs);      // of the first level
            (double X, double Y) p = (ends[a], ends[a + 1]), q = (ends[b], ends[b + 1]);
            loop += Math.Pow(Integral(p, (q.X, p.Y)) + Integral((q.X, p.Y), q) - Integral(p, (p.X, q.Y)) - Integral((p.X, q.Y), q), 2);
            line += Math.Pow(Integral(p, q), 2);
        }
        Assert.That(test.PathDependence(network)[0], Is.EqualTo(Math.Sqrt(loop / line)).Within(1e-3));

        double Integral((double X, double Y) p, (double X, double Y) q)
        {
            const int Parts = 200;
            using var inner = NewDisposeScope();
            float[] along = [.. Enumerable.Range(0, Parts + 1).SelectMany(i => new[] { (float)(p.X + ((q.X - p.X) * i / Parts)), (float)(p.Y + ((q.Y - p.Y) * i / Parts)) })];
            float[] values = Numbers(network.forward(tensor(along).view(-1, 2), full([Parts + 1, 1], (float)test.Levels[0])).detach());
            return Enumerable.Range(0, Parts + 1).Sum(i =>
                (i is 0 or Parts ? 0.5 : 1) / Parts * ((values[2 * i] * (q.X - p.X)) + (values[(2 * i) + 1] * (q.Y - p.Y)))) / test.Levels[0];
        }
    }

    [Test]
    public void The_flow_of_a_constant_field_is_a_shift()
    {
        using var scope = NewDisposeScope();
        ScoreTask task = Task(3);
        using ScoreNetwork still = Constant(0, 0), constant = Constant(1, -2);
        Tensor start = ProbabilityFlow.Sample(still, task, s_sizes with { FlowSteps = 7 }, 10), end = ProbabilityFlow.Sample(constant, task, s_sizes with { FlowSteps = 7 }, 10);
        // dx/dσ = −(1, −2), from 3 down to 0.1
        Check.Close(end.sub(start), tensor(new[] { 2.9f, -5.8f }).expand(10, 2), 1e-5, "shift");
    }

    [Test]
    public void Measures_and_steps_leave_no_tensors()
    {
        using var scope = NewDisposeScope();
        ScoreTask task = Task(3);
        using var network = new ScoreNetwork(2, 16, 3);
        using var test = new FieldTest(s_sizes, task);
        Check.LeavesNoTensors(() => {
            test.Losses(network);
            test.Asymmetries(network);
            test.PathDependence(network);
        });
        foreach (ScoreLane lane in new ScoreLane[] { new("plain", s_sizes, task), new PenaltyLane(1, 2, s_sizes, task), new ConstrainedLane(s_sizes, task) }) {
            using (lane) {
                for (int step = 0; step < s_sizes.MetricSteps + 2; step++) {
                    lane.Step(6);
                }
                Check.LeavesNoTensors(() => lane.Step(7));
            }
        }
    }

    private static ScoreTask Task(long seed) => new PlaneTask("spirals", s_sizes, seed, CPU);

    private static ScoreNetwork Constant(float x, float y)
    {
        var network = new ScoreNetwork(2, 16, 3);
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        foreach ((string name, Tensor tensor) in network.state_dict()) {
            if (name.StartsWith("fc3")) {
                tensor.copy_(name.EndsWith("bias") ? torch.tensor(new[] { x, y }) : zeros_like(tensor));
            }
        }
        return network;
    }

    // ∂(σ s)/∂xᵢ at each point, B×2.
    private static Tensor Slope(ScoreNetwork network, NoisyPoints points, int i)
    {
        const float Distance = 1e-2f;
        using IDisposable frozen = no_grad();
        Tensor shift = zeros(1, 2);
        shift[0, i] = tensor(Distance);
        return network.forward(points.Points.add(shift), points.Sigma).sub(network.forward(points.Points.sub(shift), points.Sigma)).div(2 * Distance);
    }

    private static float[] Numbers(Tensor values) => values.cpu().contiguous().data<float>().ToArray();
}
