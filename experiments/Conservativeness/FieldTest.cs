using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>
/// What is measured of a score at points that no training saw, at each noise level: the loss, how far S is from symmetric, and
/// how much a log-density depends on the path that the score is integrated along.
/// </summary>
internal sealed class FieldTest : IDisposable
{
    private static readonly Scalar s_one = 1.0f.ToScalar();
    private readonly ConservativenessSizes _sizes;
    private readonly NoisyPoints _test;
    private readonly NoisyPoints _ends;
    private readonly Tensor[] _probes;

    public FieldTest(ConservativenessSizes sizes, ScoreTask task)
    {
        _sizes = sizes;
        Levels = sizes.TestLevels;
        _test = Kept(task.AtLevels("test", Levels, sizes.TestPoints));
        _ends = Kept(task.AtLevels("ends", Levels, 2 * sizes.Pairs));
        _probes = [.. Enumerable.Range(0, sizes.TestProbes).Select(i => task.Probes("test probes", i, _test.Points).DetachFromDisposeScope())];
    }

    /// <summary>σ of each level, increasing.</summary>
    public double[] Levels { get; }

    /// <summary>The loss of denoising score matching at each level.</summary>
    public double[] Losses(nn.Module<Tensor, Tensor, Tensor> network)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Tensor error = network.forward(_test.Points, _test.Sigma).add(_test.Noise, s_one);
        return Means(error.mul(error).sum(1L, false));
    }

    /// <summary>
    /// ½(tr SSᵀ − tr SS)/tr SSᵀ at each level: 0 for a gradient, ½ for S of independent entries, 1 for a pure rotation (Chao et al. 2023). In the
    /// plane exact, from all of S, the mean over the points; with probes v of random signs the mean of ¼‖(S − Sᵀ)v‖² over points and probes, divided
    /// by that of ‖Sᵀv‖² (Hutchinson 1990).
    /// </summary>
    public double[] Asymmetries(nn.Module<Tensor, Tensor, Tensor> network)
    {
        if (_probes.Length > 0) {
            (double[] rotations, double[] sizes) = Traces(network, _probes);
            return [.. rotations.Zip(sizes, (rotation, size) => rotation / size)];
        }
        return Exact(network);
    }

    /// <summary>
    /// The standard error of the mean over all levels that the choice of probes leaves, by the jackknife: the estimate without each probe in turn. Zero
    /// where it is exact.
    /// </summary>
    public double AsymmetryError(nn.Module<Tensor, Tensor, Tensor> network)
    {
        int count = _probes.Length;
        if (count < 2) {
            return 0;
        }
        (double[] Rotations, double[] Sizes)[] each = [.. _probes.Select(probe => Traces(network, [probe]))];
        double[] without = [.. Enumerable.Range(0, count).Select(left => Enumerable.Range(0, _sizes.Levels).Average(level =>
            each.Where((_, i) => i != left).Sum(one => one.Rotations[level]) / each.Where((_, i) => i != left).Sum(one => one.Sizes[level])))];
        double mean = without.Average();
        return Math.Sqrt((count - 1.0) / count * without.Sum(value => (value - mean) * (value - mean)));
    }

    // The means of ¼‖(S − Sᵀ)v‖² and ‖Sᵀv‖² at each level.
    private (double[] Rotations, double[] Sizes) Traces(nn.Module<Tensor, Tensor, Tensor> network, Tensor[] probes)
    {
        var rotations = new double[_sizes.Levels];
        var sizes = new double[_sizes.Levels];
        foreach (Tensor v in probes) {
            using var scope = NewDisposeScope();
            Tensor x = _test.Points.detach().requires_grad_(), w = zeros_like(v).requires_grad_();
            Tensor field = network.forward(x, _test.Sigma);
            Tensor transposed = Gradient.Of(field.mul(v).sum(), x)[0];
            Tensor straight = Gradient.Of(Gradient.Differentiable(field.mul(w).sum(), x)[0].mul(v).sum(), w)[0];
            using Scalar quarter = 0.25f.ToScalar();
            Add(rotations, straight.sub(transposed).square().sum(1L, false).mul(quarter));
            Add(sizes, transposed.square().sum(1L, false));
        }
        return (rotations, sizes);

        void Add(double[] to, Tensor values)
        {
            double[] means = Means(values);
            for (int i = 0; i < means.Length; i++) {
                to[i] += means[i] / probes.Length;
            }
        }
    }

    private double[] Exact(nn.Module<Tensor, Tensor, Tensor> network)
    {
        using var scope = NewDisposeScope();
        Tensor x = _test.Points.detach().requires_grad_();
        Tensor field = network.forward(x, _test.Sigma);
        Tensor first = Gradient.Of(field.select(1, 0).sum(), x)[0], second = Gradient.Of(field.select(1, 1).sum(), x)[0];
        using Scalar half = 0.5f.ToScalar();
        Tensor squares = first.mul(first).add(second.mul(second), s_one).sum(1L, false);
        Tensor rotation = first.select(1, 1).sub(second.select(1, 0));
        return Means(rotation.mul(rotation).mul(half).div(squares));
    }

    /// <summary>
    /// The log-density of one noisy point over another, from the integral of the score along x first and along y first: the root mean
    /// square of their difference, relative to that of the integral along the straight line, at each level.
    /// </summary>
    public double[] PathDependence(nn.Module<Tensor, Tensor, Tensor> network)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        long levels = _sizes.Levels, pairs = _sizes.Pairs;
        Tensor ends = _ends.Points.view(levels, 2, pairs, 2);
        Tensor a = ends.select(1, 0).reshape(-1, 2), b = ends.select(1, 1).reshape(-1, 2);
        Tensor sigma = _ends.Sigma.view(levels, 2, pairs, 1).select(1, 0).reshape(-1, 1);
        Tensor alongX = stack([b.select(1, 0), a.select(1, 1)], 1), alongY = stack([a.select(1, 0), b.select(1, 1)], 1);
        Tensor straight = Integral(a, b);
        Tensor around = Integral(a, alongX).add(Integral(alongX, b), s_one).sub(Integral(a, alongY)).sub(Integral(alongY, b));
        return [.. Means(around.mul(around)).Zip(Means(straight.mul(straight)), (loop, line) => Math.Sqrt(loop / line))];

        // The midpoint rule on ∫ ⟨s(p + t(q − p)), q − p⟩ dt.
        Tensor Integral(Tensor p, Tensor q)
        {
            using var inner = NewDisposeScope();
            Tensor leg = q.sub(p), sum = zeros_like(sigma.view(-1));
            for (int i = 0; i < _sizes.Nodes; i++) {
                using Scalar t = (float)((i + 0.5) / _sizes.Nodes);
                sum.add_(network.forward(p.add(leg, t), sigma).mul(leg).sum(1L, false), s_one);
            }
            using Scalar nodes = (float)_sizes.Nodes;
            return sum.div(nodes).div(sigma.view(-1)).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (NoisyPoints points in new[] { _test, _ends }) {
            points.Points.Dispose();
            points.Noise.Dispose();
            points.Sigma.Dispose();
        }
        foreach (Tensor probe in _probes) {
            probe.Dispose();
        }
    }

    private double[] Means(Tensor values)
    {
        using Tensor means = values.view(_sizes.Levels, -1).to(ScalarType.Float64).mean([1]).cpu();
        return means.data<double>().ToArray();
    }

    private static NoisyPoints Kept(NoisyPoints points) =>
        new(points.Points.DetachFromDisposeScope(), points.Noise.DetachFromDisposeScope(), points.Sigma.DetachFromDisposeScope());
}
