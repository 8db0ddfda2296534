using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>
/// sin on [−π, π], and f(x + 2π) = f(x) on [−3π, 3π]: the training points, the collocation points of every step, the
/// constraint's residual, and the errors on a fine grid.
/// </summary>
internal sealed class PeriodicTask : IDisposable
{
    /// <summary>What f is to repeat after.</summary>
    public const double Period = 2 * Math.PI;

    /// <summary>Half the training interval.</summary>
    public const double TrainingEnd = Math.PI;

    /// <summary>Half the interval on which the constraint and the errors live.</summary>
    public const double End = 3 * Math.PI;

    /// <summary>The type of all numbers; a net this small gains nothing from float32.</summary>
    public const ScalarType Type = ScalarType.Float64;

    private const int GridPerPeriod = 400;
    private static readonly Scalar s_period = Period.ToScalar();
    private static readonly Scalar s_minusOne = (-1.0).ToScalar();
    private readonly int _points;
    private readonly long _seed;
    private readonly Device _device;
    private readonly Tensor _grid;

    public PeriodicTask(PeriodicSizes sizes, long seed, Device device)
    {
        (_points, _seed, _device) = (sizes.Points, seed, device);
        TrainingInputs = Column(Even(-TrainingEnd, TrainingEnd, sizes.TrainingPoints)).DetachFromDisposeScope();
        TrainingValues = TrainingInputs.sin().DetachFromDisposeScope();
        GridInputs = Even(-End, End, (3 * GridPerPeriod) + 1);
        _grid = Column(GridInputs).DetachFromDisposeScope();
    }

    /// <summary>N×1 points of [−π, π], ends included.</summary>
    public Tensor TrainingInputs { get; }

    /// <summary>Their sines.</summary>
    public Tensor TrainingValues { get; }

    /// <summary>The fine grid of [−3π, 3π], ends included.</summary>
    public double[] GridInputs { get; }

    /// <summary>
    /// The collocation points of a step, k×1 in [−3π, π], the same whenever they are asked for: one drawn uniformly from
    /// each of k equal parts, so that no part of the interval is left out in any step.
    /// </summary>
    public Tensor Points(long step) => Column(PointsOf(step));

    /// <summary>The same as numbers, in increasing order.</summary>
    public double[] PointsOf(long step)
    {
        Random random = Seeds.Managed(_seed, "collocation", step);
        double part = (2 * End - Period) / _points;
        return [.. Enumerable.Range(0, _points).Select(i => -End + (part * (i + random.NextDouble())))];
    }

    /// <summary>c = f(x + 2π) − f(x) for k×1 points x; k×1, with a graph.</summary>
    public static Tensor Residual(nn.Module<Tensor, Tensor> f, Tensor points)
    {
        using var scope = NewDisposeScope();
        Tensor values = f.forward(cat([points, points.add(s_period)]));
        long count = points.size(0);
        return values.narrow(0, count, count).add(values.narrow(0, 0, count), s_minusOne).MoveToOuterDisposeScope();
    }

    /// <summary>f on the fine grid.</summary>
    public double[] Curve(nn.Module<Tensor, Tensor> f)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        return f.forward(_grid).cpu().data<double>().ToArray();
    }

    /// <summary>The errors of a curve on the fine grid.</summary>
    public PeriodicErrors ErrorsOf(double[] curve)
    {
        double inside = 0, outside = 0, jump = 0;
        int insideCount = 0;
        for (int i = 0; i < curve.Length; i++) {
            double square = Math.Pow(curve[i] - Math.Sin(GridInputs[i]), 2);
            if (i >= GridPerPeriod && i <= 2 * GridPerPeriod) {
                inside += square;
                insideCount++;
            } else {
                outside += square;
            }
            if (i >= GridPerPeriod) {
                jump += Math.Pow(curve[i] - curve[i - GridPerPeriod], 2);
            }
        }
        return new PeriodicErrors(
            Math.Sqrt(inside / insideCount),
            Math.Sqrt(outside / (curve.Length - insideCount)),
            Math.Sqrt(jump / (curve.Length - GridPerPeriod)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        TrainingInputs.Dispose();
        TrainingValues.Dispose();
        _grid.Dispose();
    }

    private static double[] Even(double low, double high, int count) =>
        [.. Enumerable.Range(0, count).Select(i => low + ((high - low) * i / (count - 1)))];

    private Tensor Column(double[] values)
    {
        using Tensor flat = tensor(values, Type, _device);
        return flat.view(values.Length, 1);
    }
}

/// <summary>
/// Root mean squares on the fine grid: f − sin on [−π, π] and on the rest of [−3π, 3π], and f(x + 2π) − f(x) on [−3π, π].
/// </summary>
internal readonly record struct PeriodicErrors(double Inside, double Outside, double Constraint);
