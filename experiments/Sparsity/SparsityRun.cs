using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>
/// Trains the dense network, then from it the four continuations side by side, with a checkpoint after every epoch.
/// </summary>
internal sealed class SparsityRun : IDisposable
{
    private readonly SparsitySizes _sizes;
    private readonly RunContext _context;
    private readonly ImageBatches _data;
    private readonly ProgressLine _progress;
    private readonly Lane[] _dense;
    private readonly Lane[] _further;
    private SparsityState _state = new();
    private long _stepsDone;

    public SparsityRun(SparsitySizes sizes, RunContext context, ImageBatches data)
    {
        _sizes = sizes;
        _context = context;
        _data = data;
        (long seed, Device device) = (context.Settings.Seed, context.Device);
        var schedule = new Schedules(sizes, sizes.FurtherEpochs * data.PerEpoch);
        _dense = [new Lane("dense", sizes, seed, device)];
        Ours = new NullSpaceLane("ours", sizes, seed, device, schedule);
        _further = [
            new Lane("dense_longer", sizes, seed, device),
            Ours,
            new PrunedLane("gradual", sizes, seed, device, schedule),
            new PrunedLane("oneshot", sizes, seed, device, schedule: null),
        ];
        _progress = new ProgressLine(context.Console, (long)data.PerEpoch * (sizes.DenseEpochs + (4L * sizes.FurtherEpochs)));
    }

    /// <summary>The four networks after <see cref="Run"/>.</summary>
    public IReadOnlyList<Lane> Continuations => _further;

    /// <summary>The one among them that is trained under the constraint.</summary>
    public NullSpaceLane Ours { get; }

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public SparsityState Run()
    {
        Restore();
        if (_state.Phase == SparsityState.Dense) {
            Train(_dense, _sizes.DenseEpochs, _sizes.DensePeak);
            Evaluation.SettleBatchStatistics(_dense[0].Model, _data, _sizes.SettleBatches);
            _state.DenseAccuracy = Evaluation.Accuracy(_dense[0].Model, _data);
            _progress.Say($"The dense network has {_state.DenseAccuracy:P1} of the test images right; four networks go on from it.");
            foreach (Lane lane in _further) {
                lane.CopyFrom(_dense[0]);
            }
            (_state.Phase, _state.Epoch) = (SparsityState.Further, 0);
            Keep();
        }
        Train(_further, _sizes.FurtherEpochs, _sizes.FurtherPeak);
        _progress.Clear();
        return _state;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Lane lane in _dense.Concat(_further)) {
            lane.Dispose();
        }
    }

    private void Train(Lane[] lanes, int epochs, double peak)
    {
        int steps = epochs * _data.PerEpoch;
        while (_state.Epoch < epochs) {
            int epoch = _state.Epoch;
            int[] order = _data.Order(_state.Phase, epoch);
            var losses = new double[lanes.Length];
            var correct = new long[lanes.Length];
            for (int index = 0; index < _data.PerEpoch; index++) {
                int step = (epoch * _data.PerEpoch) + index;
                using Batch batch = _data.Train(order, _state.Phase, epoch, index);
                for (int i = 0; i < lanes.Length; i++) {
                    _context.Console.Stop.ThrowIfCancellationRequested();
                    LaneStep done = lanes[i].Step(batch, step, Schedules.LearningRate(step, steps, peak));
                    losses[i] += done.Loss * batch.Labels.size(0);
                    correct[i] += done.Correct;
                    Note(lanes[i], step, done);
                    _progress.Report(++_stepsDone, $"{_state.Phase} epoch {epoch + 1}/{epochs}, {lanes[i].Name}: loss {done.Loss:F3}");
                }
            }
            _state.Epoch++;
            double rate = Schedules.LearningRate(_state.Epoch * _data.PerEpoch - 1, steps, peak);
            for (int i = 0; i < lanes.Length; i++) {
                double accuracy = Evaluation.Accuracy(lanes[i].Model, _data);
                double zeros = (double)lanes[i].Weights.CountZeros() / lanes[i].Weights.Count;
                Record(new EpochRecord(_state.Phase, lanes[i].Name, _state.Epoch, rate, losses[i] / _data.TrainCount,
                    (double)correct[i] / _data.TrainCount, accuracy, zeros));
            }
            _progress.Say($"{_state.Phase} epoch {_state.Epoch}/{epochs}: "
                + string.Join(", ", _state.Epochs.TakeLast(lanes.Length).Select(record => $"{record.Network} {record.TestAccuracy:P1}")));
            Keep();
        }
    }

    private void Note(Lane lane, int step, LaneStep done)
    {
        if (_state.Phase != SparsityState.Further) {
            return;
        }
        if (!_state.StepSeconds.TryGetValue(lane.Name, out List<double>? seconds)) {
            _state.StepSeconds[lane.Name] = seconds = [];
        }
        seconds.Add(Math.Round(done.Seconds, 6));
        if (lane is NullSpaceLane ours) {
            ConstraintRecord constraint = ours.LastStep(step);
            _state.Constraint.Add(constraint);
            _context.Folder.WriteMetric("constraint", constraint);
        }
    }

    private void Record(EpochRecord record)
    {
        _state.Epochs.Add(record);
        _context.Folder.WriteMetric("epoch", record);
    }

    private void Keep()
    {
        var tensors = new Dictionary<string, Tensor>();
        foreach (Lane lane in _state.Phase == SparsityState.Dense ? _dense : _further) {
            lane.Save(tensors);
        }
        _context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, tensors);
        _context.Console.CheckpointWritten?.Invoke(_state.Epoch + (_state.Phase == SparsityState.Dense ? 0 : _sizes.DenseEpochs));
    }

    private void Restore()
    {
        using var scope = NewDisposeScope();
        if (_context.Begin() is not var (state, tensors)) {
            return;
        }
        _state = Checkpoint.StateOf<SparsityState>(state);
        foreach (Lane lane in _state.Phase == SparsityState.Dense ? _dense : _further) {
            lane.Load(tensors);
        }
        long epochs = _state.Phase == SparsityState.Dense ? _state.Epoch : _sizes.DenseEpochs + (4L * _state.Epoch);
        _stepsDone = epochs * _data.PerEpoch;
        _progress.StartFrom(_stepsDone);
        _progress.Say($"Going on after epoch {_state.Epoch} of phase '{_state.Phase}'.");
    }
}
