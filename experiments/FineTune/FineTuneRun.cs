using System.Text.Json;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.FineTune;

/// <summary>Trains both networks side by side on the same images, with a checkpoint every few steps.</summary>
internal sealed class FineTuneRun : IDisposable
{
    private readonly FineTuneSizes _sizes;
    private readonly RunContext _context;
    private readonly ImageFolder _training, _test;
    private readonly FineTuneLane[] _lanes;
    private FineTuneState _state = new();

    public FineTuneRun(FineTuneSizes sizes, RunContext context, ImageFolder training, ImageFolder test, string? weights)
    {
        (_sizes, _context, _training, _test) = (sizes, context, training, test);
        FineTuneLane New(string name, bool isConstrained) => new(name, isConstrained, sizes, training.Classes.Count, weights, context.Settings.Seed, context.Device);
        _lanes = [New("dense", false), New("ours", true)];
    }

    /// <summary>Trains from the start or from the checkpoint, up to the end, and tests.</summary>
    public FineTuneState Run()
    {
        var progress = new ProgressLine(_context.Console, _sizes.Steps);
        Restore(progress);
        while (_state.Step < _sizes.Steps) {
            int until = Math.Min(_sizes.Steps, _state.Step + _sizes.CheckpointEvery - (_state.Step % _sizes.CheckpointEvery));
            while (_state.Step < until) {
                Pass(until, progress);
            }
            Keep();
        }
        foreach (FineTuneLane lane in _lanes) {
            double zeros = lane.Finish();
            var end = new FineTuneEnd(lane.Name, Accuracy(lane, progress), zeros);
            _state.Ends.Add(end);
            _context.Folder.WriteMetric("end", end);
        }
        progress.Clear();
        return _state;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (FineTuneLane lane in _lanes) {
            lane.Dispose();
        }
    }

    // Steps on a pass over the images that begins here, to its end or to a step.
    private void Pass(int until, ProgressLine progress)
    {
        var options = new ImageBatchOptions {
            BatchSize = _sizes.BatchSize,
            Training = true,
            Side = _sizes.Side,
            Seed = Seeds.Derive(_context.Settings.Seed, "images"),
            Warn = progress.Say,
        };
        using var pass = new ImageEpoch(_training, options, _state.Step);
        int first = _state.Step;
        while (_state.Step < until && pass.Next() is ImageBatch batch) {
            _context.Console.Stop.ThrowIfCancellationRequested();
            using (batch) {
                using var scope = NewDisposeScope();
                (Tensor images, Tensor labels) = Normalised(batch);
                foreach (FineTuneLane lane in _lanes) {
                    FineTuneRecord record = lane.Step(_state.Step, images, labels);
                    _state.Records.Add(record);
                    _context.Folder.WriteMetric("step", record);
                }
            }
            _state.Step++;
            progress.Report(_state.Step, $"step {_state.Step}/{_sizes.Steps}: loss of dense {_state.Records[^2].Loss:F3}, of ours {_state.Records[^1].Loss:F3}");
        }
        if (_state.Step == first) {
            throw new ExperimentException("No image could be read.");
        }
    }

    private double Accuracy(FineTuneLane lane, ProgressLine progress)
    {
        var options = new ImageBatchOptions { BatchSize = _sizes.BatchSize, Training = false, Side = _sizes.Side, Shorter = _sizes.Shorter, Warn = progress.Say };
        using var pass = new ImageEpoch(_test, options, 0);
        long right = 0, seen = 0;
        while (seen < _sizes.TestImages && pass.Next() is ImageBatch batch) {
            _context.Console.Stop.ThrowIfCancellationRequested();
            using (batch) {
                using var scope = NewDisposeScope();
                (Tensor images, Tensor labels) = Normalised(batch);
                right += lane.Right(images, labels);
                seen += labels.size(0);
            }
        }
        return seen > 0 ? right / (double)seen : throw new ExperimentException("No test image could be read.");
    }

    private (Tensor Images, Tensor Labels) Normalised(ImageBatch batch) =>
        (ImageNet.Normalise(batch.Images.to(_context.Device)), batch.Labels.to(_context.Device));

    private void Keep()
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        foreach (FineTuneLane lane in _lanes) {
            lane.Save(tensors);
        }
        _context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, tensors);
        _context.Console.CheckpointWritten?.Invoke(_state.Step);
    }

    private void Restore(ProgressLine progress)
    {
        using var scope = NewDisposeScope();
        if (_context.Begin() is not var (state, tensors)) {
            return;
        }
        _state = Checkpoint.StateOf<FineTuneState>(state);
        progress.StartFrom(_state.Step);
        progress.Say($"Going on after step {_state.Step} of {_sizes.Steps}.");
        foreach (FineTuneLane lane in _lanes) {
            lane.Load(tensors);
        }
    }
}
