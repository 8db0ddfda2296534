using System.Globalization;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.RandomSweep;

/// <summary>
/// Random problems beside their solutions in 32 digits: short here, and as long as LSMRTORCH_SWEEP says (100000 solves and a
/// tenth as many backward passes) by <c>scripts/sweep.sh</c>.
/// </summary>
[Category("Sweep")]
public class SweepTests
{
    private static int Cases(int standard) =>
        int.TryParse(Environment.GetEnvironmentVariable("LSMRTORCH_SWEEP"), CultureInfo.InvariantCulture, out int asked) ? asked : standard;

    private static int First =>
        int.TryParse(Environment.GetEnvironmentVariable("LSMRTORCH_SWEEP_SEED"), CultureInfo.InvariantCulture, out int asked) ? asked : 0;

    [Test]
    public void No_converged_solution_is_further_off_than_its_error_estimate_says()
    {
        int count = Cases(1000);
        TestContext.Progress.WriteLine($"seeds {First} to {First + count - 1}");
        SolveSweep sweep = SolveSweep.Run(First, count, now => {
            if (now.Cases % 10000 == 0)
                TestContext.Progress.WriteLine($"{now.Cases} of {count}: {now.Wrong} wrong");
        });
        TestContext.Progress.WriteLine(sweep);
        Assert.That(sweep.Failures, Is.Empty);
        Assert.That(sweep.Converged, Is.GreaterThan(0.9 * sweep.Columns), "converged");
        Assert.That(sweep.Doubtful, Is.LessThan(0.05 * sweep.Converged), "an estimate over 1 %");
        Assert.That(sweep.TypicalExcess, Is.LessThan(10), "estimate / error, the median");
    }

    [Test]
    public void No_gradient_is_further_off_than_its_report_says()
    {
        int count = Math.Max(1, Cases(3000) / 10);
        TestContext.Progress.WriteLine($"seeds {First} to {First + count - 1}");
        GradientSweep sweep = GradientSweep.Run(First, count);
        TestContext.Progress.WriteLine(sweep);
        Assert.That(sweep.Failures, Is.Empty);
        Assert.That(sweep.Answered, Is.GreaterThan(0.8 * sweep.Cases));
        Assert.That(sweep.Certified, Is.GreaterThan(0.2 * sweep.Cases));
    }

    [Test]
    public void A_solution_that_is_spoilt_is_found_by_the_sweep()
    {
        SolveSweep sweep = SolveSweep.Run(0, 50, spoil: result => result with { Solution = result.Solution.mul(torch.tensor(1.001, result.Solution.dtype)) });
        Assert.That(sweep.Wrong, Is.GreaterThan(0.5 * sweep.Converged));
        sweep = SolveSweep.Run(0, 50, spoil: result => result with { Columns = [.. result.Columns.Select(column => column with { ErrorEstimate = double.NaN })] });
        Assert.That(sweep.Wrong, Is.GreaterThan(0.5 * sweep.Converged), "no estimate");
    }

    [Test]
    public void A_gradient_that_is_spoilt_is_found_by_the_sweep()
    {
        GradientSweep sweep = GradientSweep.Run(0, 50, gradient => gradient.mul(torch.tensor(1.01, gradient.dtype)));
        Assert.That(sweep.Wrong, Is.GreaterThan(0.5 * sweep.Answered));
    }

    [Test]
    public void Double_doubles_have_thirty_digits()
    {
        DoubleDouble third = (DoubleDouble)1 / 3, root = DoubleDouble.Sqrt(2);
        Assert.That((double)(third * 3 - 1), Is.EqualTo(0).Within(1e-31));
        Assert.That((double)(root * root - 2), Is.EqualTo(0).Within(1e-31));
        Assert.That((double)((DoubleDouble)1 + 1e-25 - 1), Is.EqualTo(1e-25).Within(1e-41));
    }

    [Test]
    public void The_truth_is_that_of_the_pseudo_inverse([Values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)] int seed)
    {
        using var scope = NewDisposeScope();
        var problem = new RandomProblem(1000 + seed, isMild: true);
        Tensor A = problem.Matrix().to(float64), b = problem.RightHandSide().to(float64);
        Tensor x0 = problem.StartTensor()?.to(float64) ?? zeros(problem.N, float64);
        Tensor stacked = cat([A, eye(problem.N, dtype: float64) * problem.Damp]), rhs = cat([b - A.mv(x0), zeros(problem.N, float64)]);
        Tensor expected = x0 + linalg.pinv(stacked, 1e-9).mv(rhs);
        Check.Close(tensor(problem.Solutions()[0], float64), expected, 1e-6, $"x of {problem}");
    }
}
