using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Periodic;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

public class PeriodicTaskTests
{
    private static readonly PeriodicSizes s_sizes = new() { Steps = 10, Points = 17, Hidden = 8 };

    [Test]
    public void The_collocation_points_of_every_step_cover_the_interval()
    {
        using var task = new PeriodicTask(s_sizes, 3, CPU);
        double part = 4 * Math.PI / s_sizes.Points;
        for (int step = 0; step < 50; step++) {
            double[] points = task.PointsOf(step);
            Assert.That(points, Has.Length.EqualTo(s_sizes.Points));
            for (int i = 0; i < points.Length; i++) {
                Assert.That(points[i], Is.InRange((-3 * Math.PI) + (part * i), (-3 * Math.PI) + (part * (i + 1)) + 1e-12), $"step {step}");
            }
        }
    }

    [Test]
    public void The_collocation_points_follow_from_seed_and_step_alone()
    {
        using var task = new PeriodicTask(s_sizes, 3, CPU);
        using var same = new PeriodicTask(s_sizes, 3, CPU);
        using var other = new PeriodicTask(s_sizes, 4, CPU);
        double[] points = task.PointsOf(7);
        Assert.That(task.PointsOf(8), Is.Not.EqualTo(points));
        Assert.That(other.PointsOf(7), Is.Not.EqualTo(points));
        Assert.That(same.PointsOf(7), Is.EqualTo(points));
        using Tensor column = task.Points(7);
        Assert.That(column.shape, Is.EqualTo(new long[] { 17, 1 }));
        Assert.That(column.data<double>().ToArray(), Is.EqualTo(points));
    }

    [Test]
    public void The_residual_is_what_f_gains_over_a_period()
    {
        using var scope = NewDisposeScope();
        using var task = new PeriodicTask(s_sizes, 3, CPU);
        using var model = new Mlp(8, -3 * Math.PI, 3 * Math.PI, 5, PeriodicTask.Type);
        Tensor points = task.Points(0);
        Tensor residual = PeriodicTask.Residual(model, points);
        Assert.That(residual.shape, Is.EqualTo(new long[] { 17, 1 }));
        Assert.That(residual.requires_grad);
        double[] x = task.PointsOf(0);
        for (int i = 0; i < x.Length; i++) {
            double expected = At(model, x[i] + (2 * Math.PI)) - At(model, x[i]);
            Assert.That(residual[i, 0].item<double>(), Is.EqualTo(expected).Within(1e-13));
        }
    }

    [Test]
    public void The_training_points_are_sines_in_the_training_interval()
    {
        using var task = new PeriodicTask(s_sizes, 3, CPU);
        double[] x = task.TrainingInputs.data<double>().ToArray();
        Assert.That(x, Has.Length.EqualTo(s_sizes.TrainingPoints));
        Assert.That(x[0], Is.EqualTo(-Math.PI));
        Assert.That(x[^1], Is.EqualTo(Math.PI).Within(1e-15));
        double[] y = task.TrainingValues.data<double>().ToArray();
        Assert.That(y.Zip(x, (value, at) => Math.Abs(value - Math.Sin(at))).Max(), Is.LessThan(1e-15));
    }

    [Test]
    public void The_errors_of_known_curves_are_their_integrals()
    {
        using var task = new PeriodicTask(s_sizes, 3, CPU);
        PeriodicErrors exact = task.ErrorsOf([.. task.GridInputs.Select(Math.Sin)]);
        Assert.That(Math.Max(exact.Inside, Math.Max(exact.Outside, exact.Constraint)), Is.LessThan(1e-14));

        // The mean square of sin over whole periods is 1/2, of x + 2π - x it is (2π)².
        PeriodicErrors zero = task.ErrorsOf(new double[task.GridInputs.Length]);
        Assert.That(zero.Inside, Is.EqualTo(Math.Sqrt(0.5)).Within(2e-3));
        Assert.That(zero.Outside, Is.EqualTo(Math.Sqrt(0.5)).Within(2e-3));
        Assert.That(zero.Constraint, Is.Zero);
        Assert.That(task.ErrorsOf(task.GridInputs).Constraint, Is.EqualTo(2 * Math.PI).Within(1e-12));
    }

    [Test]
    public void The_error_outside_does_not_see_the_inside()
    {
        using var task = new PeriodicTask(s_sizes, 3, CPU);
        PeriodicErrors errors = task.ErrorsOf([.. task.GridInputs.Select(x => Math.Sin(x) + (Math.Abs(x) <= Math.PI + 1e-9 ? 1 : 0))]);
        Assert.That(errors.Inside, Is.EqualTo(1).Within(1e-12));
        Assert.That(errors.Outside, Is.LessThan(1e-14));
    }

    private static double At(Mlp model, double x)
    {
        using var scope = NewDisposeScope();
        return model.forward(tensor(new[] { x }, PeriodicTask.Type).view(1, 1)).item<double>();
    }
}
