using System.Diagnostics;
using System.Text.Json;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>All methods on all splits of all sets, one after the other, with a checkpoint after each; then the sweep over D.</summary>
internal sealed class GpRun
{
    private const long ProbeRows = 1500;
    private static readonly string[] s_methods = ["ours", "ours_nlpd", "feature_ml", "exact_ml", "ours_kernel"];

    private readonly GpSizes _sizes;
    private readonly RunContext _context;
    private readonly IReadOnlyList<(string Name, Func<UciTable> Read)> _tables;
    private readonly ProgressLine _progress;
    private GpState _state = new();
    private double _probeSeconds;

    public GpRun(GpSizes sizes, RunContext context)
    {
        (_sizes, _context) = (sizes, context);
        _tables = GpTables.Of(sizes, context.Settings);
        _progress = new ProgressLine(context.Console, Parts);
    }

    private long Parts => (_tables.Count * _sizes.Splits * s_methods.Length) + _sizes.SweepFeatures.Count;

    /// <summary>Goes on from the checkpoint where there is one, up to the end.</summary>
    public GpState Run()
    {
        Restore();
        WarmUp();
        _probeSeconds = ProbeSeconds();
        int part = 0;
        foreach ((string name, Func<UciTable> read) in _tables) {
            UciTable table = read();
            for (int split = 0; split < Math.Min(_sizes.Splits, table.Splits); split++) {
                using var scope = NewDisposeScope();
                using UciSplit data = table.Split(split);
                using var problem = new GpProblem(data, _sizes, Seeds.Derive(_context.Settings.Seed, name, split));
                if (!problem.UsesAll && split >= _sizes.SplitsOfMany) {
                    part += s_methods.Length;
                    continue;
                }
                foreach (string method in s_methods) {
                    part++;
                    if (Find(name, split, method) is null && RunOne(method, problem, name, split) is { } result) {
                        Keep(result, part);
                    }
                }
            }
        }
        foreach (int features in _sizes.SweepFeatures.Where(features => _state.Sweep.All(at => at.Features != features))) {
            _context.Console.Stop.ThrowIfCancellationRequested();
            SweepPoint point = FeatureSweep.Time(features, _sizes, _context.Settings.Seed);
            _state.Sweep.Add(point);
            _context.Folder.WriteMetric("sweep", point);
            Save(++part, $"{features} features");
        }
        _progress.Clear();
        return _state;
    }

    private GpResult? Find(string set, int split, string method) =>
        _state.Results.Find(at => at.Set == set && at.Split == split && at.Method == method);

    // Null where the method is not for this split.
    private GpResult? RunOne(string name, GpProblem problem, string set, int split)
    {
        if (name == "ours_kernel" && (problem.Count > _sizes.ExactKernelUpTo || split >= _sizes.ExactKernelSplits)) {
            return null;
        }
        if (name == "ours_nlpd" && split >= _sizes.DensitySplits) {
            return null;
        }
        if (name == "exact_ml") {
            GpEnd? refused = 8.0 * ExactLikelihood.Matrices * problem.Count * problem.Count > _sizes.MemoryLimit ? GpEnd.Memory
                : _probeSeconds * Math.Pow((double)problem.Count / ProbeRows, 3) > _sizes.LimitSeconds ? GpEnd.PredictedTime
                : null;
            bool isUnfinished = refused is not null || _state.Results.Any(at => at.Set == set && at.Method == name && !at.HasFinished);
            if (isUnfinished && split >= _sizes.UnfinishedSplits) {
                return null;
            }
            if (refused is GpEnd end) {
                return new GpResult { Set = set, Split = split, Method = name, Count = problem.Count, Inputs = problem.Inputs, End = end };
            }
        }
        using Method method = Make(name, problem);
        return MethodRun.Of(method, problem, set, split, _context);
    }

    private static Method Make(string name, GpProblem problem) => name switch {
        "ours" => new CalibratedFeatures(problem),
        "ours_nlpd" => new CalibratedDensities(problem),
        "ours_kernel" => new CalibratedKernel(problem),
        "exact_ml" => new ExactLikelihood(problem),
        "feature_ml" => new FeatureLikelihood(problem),
        _ => throw new ArgumentException($"There is no method '{name}'.", nameof(name)),
    };

    // Compilation and libtorch's first calls are nobody's time.
    private void WarmUp()
    {
        GpSizes small = _sizes with { Steps = 2, Features = 32, SweepFeatures = [] };
        foreach (int singleFrom in new[] { 0, int.MaxValue }) {
            using var scope = NewDisposeScope();
            using UciSplit data = UciGenerator.Generate(100, 3, 0.1, 1).Split(0);
            using var problem = new GpProblem(data, small with { SinglePrecisionFrom = singleFrom }, 1);
            foreach (string name in s_methods) {
                using Method method = Make(name, problem);
                _ = MethodRun.Of(method, problem, "warm-up", 0, _context);
            }
        }
    }

    // What a step of the exact likelihood costs at the least: a factor and an inverse of float64, of this size; it grows with the third power.
    private static double ProbeSeconds()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor matrix = eye(ProbeRows, ProbeRows, float64), nothing = zeros(Array.Empty<long>(), float64);
        double least = double.PositiveInfinity;
        for (int i = 0; i < 3; i++) {
            using var attempt = NewDisposeScope();
            var watch = Stopwatch.StartNew();
            _ = Cholesky.Of(matrix, nothing).cholesky_inverse();
            least = Math.Min(least, watch.Elapsed.TotalSeconds);
        }
        return least;
    }

    private void Keep(GpResult result, int part)
    {
        _state.Results.Add(result);
        _context.Folder.WriteMetric("result", result);
        Save(part, $"{result.Set}, split {result.Split}, {result.Method}: " + (result.Rmse is double rmse ? $"test error {rmse:F3} after {result.Seconds:F1} s" : result.End.ToString()));
    }

    private void Save(int part, string what)
    {
        _context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, new Dictionary<string, Tensor>());
        _context.Console.CheckpointWritten?.Invoke(part);
        _progress.Report(part, what);
    }

    private void Restore()
    {
        using var scope = NewDisposeScope();
        if (_context.Begin() is not var (state, _)) {
            return;
        }
        _state = Checkpoint.StateOf<GpState>(state);
        int done = _state.Results.Count + _state.Sweep.Count;
        _progress.StartFrom(done);
        _progress.Say($"Going on after {done} results.");
    }
}
