using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>Trains all networks side by side from the same weights, with a checkpoint every few hundred steps.</summary>
internal sealed class PeriodicRun : IDisposable
{
    private readonly PeriodicSizes _sizes;
    private readonly RunContext _context;
    private readonly PeriodicTask _task;
    private readonly PeriodicLane[] _lanes;
    private readonly ProgressLine _progress;
    private PeriodicState _state = new();

    public PeriodicRun(PeriodicSizes sizes, RunContext context)
    {
        (_sizes, _context) = (sizes, context);
        (long seed, Device device) = (context.Settings.Seed, context.Device);
        _task = new PeriodicTask(sizes, seed, device);
        _lanes = [
            new PeriodicLane("plain", sizes, _task, seed, device),
            .. sizes.Penalties.Select(weight => new PenaltyLane(weight, sizes, _task, seed, device)),
            new ConstrainedLane(sizes, _task, seed, device),
        ];
        _progress = new ProgressLine(context.Console, sizes.Steps);
    }

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public PeriodicState Run()
    {
        Restore();
        while (_state.Step < _sizes.Steps) {
            _context.Console.Stop.ThrowIfCancellationRequested();
            int step = _state.Step++;
            bool last = _state.Step == _sizes.Steps;
            bool record = last || _state.Step % _sizes.RecordEvery == 0;
            foreach (PeriodicLane lane in _lanes) {
                (double loss, double seconds) = lane.Step(step);
                if (record) {
                    Record(lane, step, loss, seconds);
                }
            }
            if (record) {
                string errors = string.Join(", ", _state.Steps.TakeLast(_lanes.Length)
                    .Where(at => at.Network is "plain" or "ours").Select(at => $"{at.Network} {at.RmseOutside:F4}"));
                _progress.Report(_state.Step, $"step {_state.Step}/{_sizes.Steps}, error outside: {errors}");
            }
            if (last || _state.Step % _sizes.CheckpointEvery == 0) {
                Keep();
            }
        }
        _progress.Clear();
        return _state;
    }

    /// <summary>The networks as they are, by name, on the fine grid.</summary>
    public PeriodicCurves Curves() => new(_task.GridInputs, _lanes.ToDictionary(lane => lane.Name, lane => _task.Curve(lane.Model)));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (PeriodicLane lane in _lanes) {
            lane.Dispose();
        }
        _task.Dispose();
    }

    private void Record(PeriodicLane lane, int step, double loss, double seconds)
    {
        PeriodicErrors errors = _task.ErrorsOf(_task.Curve(lane.Model));
        var record = new StepRecord(lane.Name, step + 1, loss, errors.Inside, errors.Outside, errors.Constraint);
        _state.Steps.Add(record);
        _context.Folder.WriteMetric("step", record);
        if (step < _sizes.WarmUpSteps) {
            return;
        }
        if (!_state.StepSeconds.TryGetValue(lane.Name, out List<double>? all)) {
            _state.StepSeconds[lane.Name] = all = [];
        }
        all.Add(Math.Round(seconds, 6));
        if (lane is ConstrainedLane { LastStep: { } report }) {
            var solve = new SolveRecord(step + 1, report.ConstraintNorm, report.PredictedConstraintNorm,
                report.Iterations, report.ConditionEstimate, report.Stop.ToString());
            _state.Solves.Add(solve);
            _context.Folder.WriteMetric("solve", solve);
        }
    }

    private void Keep()
    {
        var tensors = new Dictionary<string, Tensor>();
        foreach (PeriodicLane lane in _lanes) {
            lane.Save(tensors);
        }
        _context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, tensors);
        _context.Console.CheckpointWritten?.Invoke(_state.Step);
    }

    private void Restore()
    {
        using var scope = NewDisposeScope();
        if (_context.Begin() is not var (state, tensors)) {
            return;
        }
        _state = Checkpoint.StateOf<PeriodicState>(state);
        foreach (PeriodicLane lane in _lanes) {
            lane.Load(tensors, _state.Step);
        }
        _progress.StartFrom(_state.Step);
        _progress.Say($"Going on after step {_state.Step} of {_sizes.Steps}.");
    }
}

/// <summary>What the networks say on the fine grid.</summary>
internal sealed record PeriodicCurves(double[] Inputs, IReadOnlyDictionary<string, double[]> Values);
