using System.Text.Json.Nodes;
using LsmrTorch.Experiments.NullSpaceOrder;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The whole experiment at a size of seconds.</summary>
public class OrderRunTests : TrainingRunTests
{
    private static readonly ProblemSizes s_linear = new() {
        Name = "linear",
        Steps = 160,
        WarmUpSteps = 10,
        Hidden = 4,
        Points = 40,
        SgdRate = 0.3,
        AdamRate = 1e-2,
        LargeEpsilonRate = 3e-2,
        Rate = 0.2,
        Damp = 0,
        Tolerance = 1e-8,
    };

    private static readonly string[] s_problems = ["periodic", "linear", "conservative", "sparse", "equivariant"];

    private static readonly OrderSizes s_tiny = new() {
        Problems = [
            s_linear with { Name = "periodic", Steps = 30, Hidden = 8, Points = 10, SgdRate = 0.03, Damp = 0.1, Tolerance = 1e-2 },
            s_linear,
            s_linear with { Name = "conservative", Steps = 20, Hidden = 8, Points = 6, SgdRate = 0.03, Damp = 0.1, Tolerance = 1e-2 },
            s_linear with { Name = "sparse", Steps = 30, Hidden = 8, Points = 20, SgdRate = 0.1, MaxIterations = 500 },
            s_linear with { Name = "equivariant", Steps = 20, Hidden = 8, Points = 4, SgdRate = 0.1, Damp = 0.1, Tolerance = 1e-2 },
        ],
        Seeds = 2,
        RecordEvery = 10,
        CheckpointEvery = 15,
    };

    internal override int Execute(RunSettings settings, RunConsole console) => new OrderExperiment().Execute(s_tiny, settings, console);

    [Test]
    public void Is_a_command_of_the_runner()
    {
        (int code, string output, _) = CommandLineTests.Run("null-space-order --help");
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("metric").And.Contain("--preset"));
    }

    [Test]
    public void The_figures_are_finite_numbers_for_every_problem_optimizer_and_order()
    {
        Assert.That(Code, Is.Zero);
        JsonObject figures = Figures("whole");
        foreach (string problem in s_problems) {
            foreach (string optimizer in new[] { "sgd", "adam", "adam_eps" }) {
                foreach (string order in new[] { "none", "step", "gradient", "metric" }) {
                    foreach (string measure in new[] { "constraint", "loss" }) {
                        Assert.That(double.IsFinite(figures[$"{problem}_{optimizer}_{order}_{measure}"]!.GetValue<double>()), $"{problem}_{optimizer}_{order}_{measure}");
                    }
                }
            }
        }
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(new[] {
            "periodic_adam_metric_rmse_outside", "linear_adam_step_gap", "linear_adam_step_gap_deviation", "linear_adam_step_iterations",
            "sparse_adam_step_zeroed_loss", "equivariant_adam_step_training_loss",
        }));
    }

    [Test]
    public void With_plain_gradient_descent_the_projected_gradient_is_the_projected_step()
    {
        JsonObject figures = Figures("whole");
        foreach (string measure in new[] { "loss", "constraint", "gap" }) {
            double step = figures[$"linear_sgd_step_{measure}"]!.GetValue<double>(), gradient = figures[$"linear_sgd_gradient_{measure}"]!.GetValue<double>();
            // the same but for rounding, and c has been shrunk to rounding
            Assert.That(gradient, Is.EqualTo(step).Within(1e-9), measure);
        }
    }

    [Test]
    public void Plain_gradient_descent_ends_at_the_constrained_minimum()
    {
        JsonObject figures = Figures("whole");
        // 150 steps shrink c by 0.8 each, and the loss' slowest direction, of curvature about 2/4 times the mean square of x of 0.4, by 0.94
        // while the learning rate is high; the gap is its square.
        Assert.That(figures["linear_sgd_step_constraint"]!.GetValue<double>(), Is.LessThan(1e-10));
        Assert.That(figures["linear_sgd_step_gap"]!.GetValue<double>(), Is.InRange(-1e-9, 1e-3));
        Assert.That(figures["linear_sgd_none_gap"]!.GetValue<double>(), Is.LessThan(-0.1));     // without the constraint the loss is lower
    }

    [Test]
    public void Figures_are_means_over_the_seeds_and_their_deviations()
    {
        JsonObject figures = Figures("whole");
        foreach (string measure in new[] { "loss", "constraint" }) {
            double[] ends = [.. Lines("whole", "step").Where(line => line["problem"]!.GetValue<string>() == "conservative" && line["optimizer"]!.GetValue<string>() == "adam"
                && line["order"]!.GetValue<string>() == "metric" && line["step"]!.GetValue<int>() == 20).Select(line => line[measure]!.GetValue<double>())];
            Assert.That(ends, Has.Length.EqualTo(2));
            Assert.That(ends[0], Is.Not.EqualTo(ends[1]));
            Assert.That(figures[$"conservative_adam_metric_{measure}"]!.GetValue<double>(), Is.EqualTo((ends[0] + ends[1]) / 2).Within(1e-12));
            Assert.That(figures[$"conservative_adam_metric_{measure}_deviation"]!.GetValue<double>(), Is.EqualTo(Math.Abs(ends[0] - ends[1]) / Math.Sqrt(2)).Within(1e-12));
        }
    }

    [Test]
    public void Where_the_constraint_picks_entries_the_step_and_the_step_in_a_metric_are_one()
    {
        JsonObject figures = Figures("whole");
        foreach ((string optimizer, string[] same) in new[] { ("sgd", new[] { "gradient", "metric" }), ("adam", ["metric"]), ("adam_eps", ["metric"]) }) {
            foreach (string order in same) {
                foreach (string measure in new[] { "loss", "constraint", "zeroed_loss" }) {
                    double step = figures[$"sparse_{optimizer}_step_{measure}"]!.GetValue<double>();
                    Assert.That(figures[$"sparse_{optimizer}_{order}_{measure}"]!.GetValue<double>(), Is.EqualTo(step).Within(1e-6), $"{optimizer}, {order}, {measure}");
                }
            }
        }
        // Adam divides what restores c by the size of past gradients.
        double projected = figures["sparse_adam_step_constraint"]!.GetValue<double>();
        Assert.That(figures["sparse_adam_gradient_constraint"]!.GetValue<double>(), Is.Not.EqualTo(projected).Within(0.1 * projected));
    }

    [Test]
    public void The_least_loss_of_the_linear_problem_is_that_in_the_null_space_of_its_constraint()
    {
        using var scope = NewDisposeScope();
        using var problem = new LinearProblem(s_linear, 5, CPU);
        int side = s_linear.Hidden, n = (side * side) + side;
        // c is linear in W and b: its matrix column by column, and from the loss, a quadratic, its Hessian and gradient at 0.
        var columns = new List<Tensor>();
        var losses = new double[n, n];
        double LossAt(Tensor at)
        {
            Set(at);
            return problem.Loss(0).item<double>();
        }
        Tensor eye = torch.eye(n, dtype: float64);
        double atZero = LossAt(zeros(n, float64));
        var single = Enumerable.Range(0, n).Select(i => {
            double loss = LossAt(eye[i]);
            columns.Add(problem.Constraint.Evaluate(problem.Parameters).reshape(-1));
            return loss;
        }).ToArray();
        double[] minus = [.. Enumerable.Range(0, n).Select(i => LossAt(eye[i].neg()))];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                losses[i, j] = i == j ? single[i] + minus[i] - (2 * atZero) : LossAt(eye[i].add(eye[j])) - single[i] - single[j] + atZero;
            }
        }
        Tensor hessian = tensor(losses), gradient = tensor(single.Zip(minus, (up, down) => (up - down) / 2).ToArray());
        (_, Tensor values, Tensor right) = linalg.svd(stack([.. columns], 1));
        int rank = (int)values.gt(1e-10).sum().item<long>();
        Assert.That(n - rank, Is.EqualTo(2 * side));      // the circulant matrices and b
        Tensor basis = right.slice(0, rank, n, 1).t();
        Tensor best = basis.mv(linalg.solve(basis.t().mm(hessian).mm(basis), basis.t().mv(gradient).neg()));
        Assert.That(problem.Optimum, Is.EqualTo(LossAt(best)).Within(1e-10));

        void Set(Tensor at)
        {
            using IDisposable frozen = no_grad();
            problem.Parameters[0].copy_(at.narrow(0, 0, side * side).view(side, side));
            problem.Parameters[1].copy_(at.narrow(0, side * side, side));
        }
    }

    [Test]
    public void The_plots_are_there()
    {
        string[] plots = [.. Json("whole/summary.json")["plots"]!.AsArray().Select(plot => plot!.GetValue<string>())];
        Assert.That(plots, Is.EqualTo(
            from problem in s_problems
            from optimizer in new[] { "sgd", "adam", "adam-eps" }
            select $"plots/{problem}-{optimizer}.png"));
        foreach (string plot in plots) {
            Assert.That(File.ReadAllBytes(Folder["whole/" + plot])[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }));
        }
    }

    [Test]
    public void All_orders_are_the_same_until_the_warm_up_ends()
    {
        foreach (string optimizer in new[] { "sgd", "adam", "adam_eps" }) {
            Assert.That(Losses(10).Distinct().ToArray(), Has.Length.EqualTo(1), optimizer);
            Assert.That(Losses(20).Distinct().ToArray(), Has.Length.AtLeast(3), optimizer);

            IEnumerable<double> Losses(int step) => Lines("whole").Where(line => line["kind"]!.GetValue<string>() == "step" && line["problem"]!.GetValue<string>() == "linear"
                && line["optimizer"]!.GetValue<string>() == optimizer && line["seed"]!.GetValue<int>() == 0 && line["step"]!.GetValue<int>() == step).Select(line => line["loss"]!.GetValue<double>());
        }
    }

    [Test]
    public void A_network_that_diverges_is_told_and_does_not_end_the_run()
    {
        OrderSizes wild = s_tiny with { Problems = [s_linear with { Steps = 60, SgdRate = 1e6 }], Seeds = 1 };
        var output = new StringWriter();
        int code = new OrderExperiment().Execute(wild, Settings("wild"), new RunConsole(output, TextWriter.Null, false, CancellationToken.None));
        Assert.That(code, Is.Zero);
        Assert.That(output.ToString(), Does.Contain("diverged at step"));
        Assert.That(Figures("wild")["linear_sgd_none_loss"], Is.Null);
        Assert.That(double.IsFinite(Figures("wild")["linear_adam_metric_loss"]!.GetValue<double>()));
    }

    [TestCase(30)]      // between two seeds
    [TestCase(135)]     // in the second problem
    [TestCase(435)]     // after the weights that vanish have been chosen
    [TestCase(495)]     // in the last problem
    public void A_run_that_was_stopped_resumes_to_the_result_of_one_that_was_not(int after)
    {
        (string name, string output) = StopAndResume(after);
        Assert.That(output, Does.Contain($"Going on after step {after} of 520."));
        HasMetricsOfTheWhole(name);
        Assert.That(Figures(name).ToJsonString(), Is.EqualTo(Figures("whole").ToJsonString()));
    }
}
