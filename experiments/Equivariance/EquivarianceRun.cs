using System.Text.Json;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>Trains all networks side by side on the same batches, with a checkpoint after every epoch.</summary>
internal sealed class EquivarianceRun : IDisposable
{
    private readonly EquivarianceSizes _sizes;
    private readonly RunContext _context;
    private readonly ImageBatches _data;
    private readonly EquivarianceLane[] _lanes;
    private readonly ProgressLine _progress;
    private EquivarianceState _state = new();

    public EquivarianceRun(EquivarianceSizes sizes, RunContext context, ImageBatches data)
    {
        (_sizes, _context, _data) = (sizes, context, data);
        (long seed, Device device) = (context.Settings.Seed, context.Device);
        long trained = (long)sizes.TrainedEpochs * data.PerEpoch;
        EquivarianceLane[] wide = sizes.IsWide ? [
            new AugmentedLane("augmentation_wide", sizes.WideWidths, sizes, seed, device),
            new WeightsLane("w_wide", sizes.WideWidths, sizes, seed, device),
        ] : [];
        _lanes = [
            new EquivarianceLane("plain", sizes.Widths, sizes, seed, device),
            new AugmentedLane("augmentation", sizes.Widths, sizes, seed, device),
            .. sizes.Penalties.Select(weight => new PenaltyLane(weight, sizes.Widths, sizes, seed, device)),
            new FunctionLane("f", sizes.Widths, sizes, warmUp: 0, augments: false, seed, device),
            new FunctionLane("f_augmentation", sizes.Widths, sizes, warmUp: 0, augments: true, seed, device),
            new FunctionLane("f_trained", sizes.Widths, sizes, trained, augments: false, seed, device),
            new WeightsLane("w", sizes.Widths, sizes, seed, device),
            .. wide,
        ];
        _progress = new ProgressLine(context.Console, (long)sizes.Epochs * data.PerEpoch * _lanes.Length);
    }

    /// <summary>The networks after <see cref="Run"/>.</summary>
    public IReadOnlyList<EquivarianceLane> Lanes => _lanes;

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public EquivarianceState Run()
    {
        Restore();
        int steps = _sizes.Epochs * _data.PerEpoch;
        while (_state.Epoch < _sizes.Epochs) {
            int epoch = _state.Epoch;
            int[] order = _data.Order("training", epoch);
            var losses = new double[_lanes.Length];
            for (int index = 0; index < _data.PerEpoch; index++) {
                int step = (epoch * _data.PerEpoch) + index;
                using Batch batch = _data.Train(order, "training", epoch, index);
                for (int i = 0; i < _lanes.Length; i++) {
                    _context.Console.Stop.ThrowIfCancellationRequested();
                    (double loss, double seconds) = _lanes[i].Step(batch, step, LearningRate(step, steps));
                    losses[i] += loss * batch.Labels.size(0);
                    Note(_lanes[i].Name, seconds);
                    _progress.Report(((long)step * _lanes.Length) + i + 1, $"epoch {epoch + 1}/{_sizes.Epochs}, {_lanes[i].Name}: loss {loss:F3}");
                }
            }
            _state.Epoch++;
            for (int i = 0; i < _lanes.Length; i++) {
                Record(_lanes[i], losses[i] / _data.TrainCount);
            }
            _progress.Say($"epoch {_state.Epoch}/{_sizes.Epochs}, transformed test images: "
                + string.Join(", ", _state.Epochs.TakeLast(_lanes.Length).Select(record => $"{record.Network} {record.TransformedAccuracy:P1}")));
            Keep();
        }
        _progress.Clear();
        return _state;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (EquivarianceLane lane in _lanes) {
            lane.Dispose();
        }
    }

    private double LearningRate(int step, int steps)
    {
        double rise = Math.Min(1, (step + 1) / (0.1 * steps)), fall = 0.5 * (1 + Math.Cos(Math.PI * step / steps));
        return _sizes.Peak * rise * fall;
    }

    private void Note(string network, double seconds)
    {
        if (!_state.StepSeconds.TryGetValue(network, out List<double>? all)) {
            _state.StepSeconds[network] = all = [];
        }
        all.Add(Math.Round(seconds, 6));
    }

    private void Record(EquivarianceLane lane, double loss)
    {
        EquivarianceMeasure measured = EquivarianceMeasure.Of(lane.Model, _data, _context.Settings.Seed);
        var record = new EpochRecord(lane.Name, _state.Epoch, loss, measured.Accuracy, measured.Transformed, measured.Error,
            lane.LastStep?.ConstraintNorm, lane.LastStep?.Iterations);
        _state.Epochs.Add(record);
        if (!_state.Seconds.TryGetValue(lane.Name, out List<double>? seconds)) {
            _state.Seconds[lane.Name] = seconds = [];
        }
        seconds.Add(_state.StepSeconds[lane.Name].Sum());
        _context.Folder.WriteMetric("epoch", record);
    }

    private void Keep()
    {
        var tensors = new Dictionary<string, Tensor>();
        foreach (EquivarianceLane lane in _lanes) {
            lane.Save(tensors);
        }
        _context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, tensors);
        _context.Console.CheckpointWritten?.Invoke(_state.Epoch);
    }

    private void Restore()
    {
        using var scope = NewDisposeScope();
        if (_context.Begin() is not var (state, tensors)) {
            return;
        }
        _state = state.Deserialize<EquivarianceState>()!;
        foreach (EquivarianceLane lane in _lanes) {
            lane.Load(tensors);
            (lane as FunctionLane)?.GoOnAfter((long)_state.Epoch * _data.PerEpoch);
        }
        _progress.StartFrom((long)_state.Epoch * _data.PerEpoch * _lanes.Length);
        _progress.Say($"Going on after epoch {_state.Epoch} of {_sizes.Epochs}.");
    }
}
