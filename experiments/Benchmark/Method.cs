using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>Something that is timed beside others.</summary>
internal abstract class Method(string name)
{
    /// <summary>As figures, table and plots name it.</summary>
    public string Name { get; } = name;

    /// <summary>Runs untimed until compilers, caches and memory are as they stay, and decides how much work a turn is.</summary>
    /// <param name="seconds">How long, at least.</param>
    /// <param name="turnSeconds">About how long a turn should take.</param>
    public abstract void WarmUp(double seconds, double turnSeconds);

    /// <summary>One measurement.</summary>
    public abstract Sample Turn();
}

/// <summary>A call, repeated within a turn; time per call.</summary>
/// <param name="name">As figures name it.</param>
/// <param name="device">Where it computes.</param>
/// <param name="call">What is timed.</param>
/// <param name="leastCalls">In a turn, however long they take.</param>
internal sealed class Operation(string name, torch.Device device, Action call, int leastCalls = 1) : Method(name)
{
    private const int MaxCalls = 100_000;
    private int _calls = 1;

    /// <inheritdoc/>
    public override void WarmUp(double seconds, double turnSeconds)
    {
        double all = 0, least = double.PositiveInfinity;
        for (int i = 0; i == 0 || (all < seconds && i < MaxCalls); i++) {
            double took = Clock.Seconds(device, call);
            (all, least) = (all + took, Math.Min(least, took));
        }
        _calls = (int)Math.Clamp(turnSeconds / least, leastCalls, MaxCalls);
    }

    /// <inheritdoc/>
    public override Sample Turn()
    {
        call();                                                 // what the last method left in the caches is not this one's
        double seconds = Clock.Seconds(device, () => {
            for (int i = 0; i < _calls; i++) {
                call();
            }
        });
        return new Sample(1e6 * seconds / _calls, null, 0);
    }
}

/// <summary>An iterative solver: time per iteration as the slope between two limits of its iterations.</summary>
/// <param name="name">As figures name it.</param>
/// <param name="limits">The two limits.</param>
/// <param name="solve">Solves with at most so many iterations.</param>
/// <param name="rest">How long to wait after a turn, where the solver's threads go on spinning for a while.</param>
internal sealed class Iterative(string name, Limits limits, Func<int, TimedSolve> solve, TimeSpan rest = default) : Method(name)
{
    private const int MaxSolves = 200;
    private int _repetitions = 1;

    /// <inheritdoc/>
    public override void WarmUp(double seconds, double turnSeconds)
    {
        double all = 0, least = double.PositiveInfinity;
        for (int i = 0; i == 0 || (all < seconds && i < 100 * MaxSolves); i++) {
            double took = solve(limits.Few).Seconds;
            (all, least) = (all + took, Math.Min(least, took));
        }
        _repetitions = (int)Math.Clamp(turnSeconds / (least * (1 + (limits.Many / limits.Few))), 1, MaxSolves);
    }

    /// <inheritdoc/>
    public override Sample Turn()
    {
        double[] slopes = new double[_repetitions], besides = new double[_repetitions];
        int iterations = 0;
        _ = solve(limits.Few);
        for (int i = 0; i < _repetitions; i++) {
            bool isFewFirst = i % 2 == 0;                       // so that what the one leaves falls on both
            TimedSolve first = solve(isFewFirst ? limits.Few : limits.Many), second = solve(isFewFirst ? limits.Many : limits.Few);
            (TimedSolve few, TimedSolve many) = isFewFirst ? (first, second) : (second, first);
            (double perIteration, double fixedSeconds) = TimedSolve.Slope(few, many);
            (slopes[i], besides[i], iterations) = (perIteration, fixedSeconds, many.Iterations);
        }
        Thread.Sleep(rest);
        return new Sample(1e6 * Statistics.Median(slopes), 1e6 * Statistics.Median(besides), iterations);
    }
}

/// <summary>A solve to its end; time per solve.</summary>
internal sealed class WholeSolve(string name, Func<TimedSolve> solve) : Method(name)
{
    /// <inheritdoc/>
    public override void WarmUp(double seconds, double turnSeconds) => _ = solve();

    /// <inheritdoc/>
    public override Sample Turn()
    {
        TimedSolve solved = solve();
        return new Sample(1e6 * solved.Seconds, null, solved.Iterations);
    }
}
