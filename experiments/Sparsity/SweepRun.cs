using System.Text.Json;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>For each seed a dense network, and from it one continuation after the other, with a checkpoint after each.</summary>
internal sealed class SweepRun(SweepSizes sizes, RunContext context, Cifar10 images)
{
    private const string Further = "further";
    private readonly ProgressLine _progress = new(context.Console, Enumerable.Range(0, sizes.Seeds).Sum(seed => EpochsOf(sizes, seed)));
    private readonly SparsitySizes _training = sizes.Training;
    private SweepState _state = new();
    private Dictionary<string, Tensor> _dense = [];
    private long _epochsDone;

    /// <summary>Images that accuracies are of.</summary>
    public int TestCount { get; private set; }

    /// <summary>Images that are trained on.</summary>
    public int TrainCount { get; private set; }

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public SweepState Run()
    {
        using var scope = NewDisposeScope();
        if (context.Begin() is var (state, tensors)) {
            _state = Checkpoint.StateOf<SweepState>(state);
            _dense = tensors;
            _epochsDone = Enumerable.Range(0, _state.Seed).Sum(seed => EpochsOf(sizes, seed)) + (_state.Cells < 0 ? 0 : _training.DenseEpochs + (_state.Cells * _training.FurtherEpochs));
            _progress.StartFrom(_epochsDone);
            _progress.Say($"Going on after {_state.Results.Count} continuations.");
        }
        do {
            RunSeed();
        } while (_state.Seed < sizes.Seeds);
        _progress.Clear();
        return _state;
    }

    private static long EpochsOf(SweepSizes sizes, int seed) =>
        sizes.Training.DenseEpochs + ((long)SweepCell.All(sizes, seed == 0).Count * sizes.Training.FurtherEpochs);

    private void RunSeed()
    {
        long seed = context.Settings.Seed + Math.Min(_state.Seed, sizes.Seeds - 1);
        using var split = new SweepSplit(images, sizes, context.Settings.Seed, seed, context.Device);
        (TestCount, TrainCount) = (split.Tested.TestCount, split.Tested.TrainCount);
        if (_state.Seed == sizes.Seeds) {
            return;     // a finished run that was asked to go on
        }
        using var dense = new Lane("dense", _training, seed, context.Device);
        if (_state.Cells < 0) {
            Train(dense, split.Tested, "dense", _training.DenseEpochs, _training.DensePeak, $"seed {seed}, dense");
            Evaluation.SettleBatchStatistics(dense.Model, split.Tested, _training.SettleBatches);
            _state.DenseAccuracies.Add(Evaluation.Accuracy(dense.Model, split.Tested));
            _progress.Say($"seed {seed}: the dense network has {_state.DenseAccuracies[^1]:P1} right");
            _dense = [];
            dense.Save(_dense);
            _state.Cells = 0;
            Keep();
        } else {
            dense.Load(_dense);
        }
        IReadOnlyList<SweepCell> cells = SweepCell.All(sizes, _state.Seed == 0);
        while (_state.Cells < cells.Count) {
            SweepResult result = Finished(cells[_state.Cells], dense, split, seed);
            _state.Results.Add(result);
            context.Folder.WriteMetric("continuation", result);
            _progress.Say($"seed {seed}, {result.Key}{(result.Penalty > 0 ? $" λ = {result.Penalty}" : "")}: {result.Accuracy:P1}");
            _state.Cells++;
            Keep();
        }
        (_state.Seed, _state.Cells) = (_state.Seed + 1, -1);
        Keep();
    }

    private SweepResult Finished(SweepCell cell, Lane dense, SweepSplit split, long seed)
    {
        using Lane lane = cell.Lane(_training, split.Tested.PerEpoch, seed, context.Device);
        lane.CopyFrom(dense);
        double seconds = Train(lane, split.Tested, Further, _training.FurtherEpochs, _training.FurtherPeak, $"seed {seed}, {cell.Key}");
        double? left = null;
        if (lane is CountLane count) {
            left = count.Left();
            count.ChooseInEachLayer();
        }
        var finish = Finish.Of(lane, _training, split.Tested);
        return new SweepResult(seed, cell.Key, cell.Penalty, finish.Accuracy, finish.AccuracyBefore, Evaluation.Accuracy(lane.Model, split.Tuned), finish.Sparsity, seconds, left);
    }

    // Returns the median of the seconds a step.
    private double Train(Lane lane, ImageBatches data, string phase, int epochs, double peak, string status)
    {
        var seconds = new List<double>();
        int steps = epochs * data.PerEpoch;
        for (int epoch = 0; epoch < epochs; epoch++) {
            int[] order = data.Order(phase, epoch);
            for (int index = 0; index < data.PerEpoch; index++) {
                context.Console.Stop.ThrowIfCancellationRequested();
                int step = (epoch * data.PerEpoch) + index;
                using Batch batch = data.Train(order, phase, epoch, index);
                seconds.Add(lane.Step(batch, step, Schedules.LearningRate(step, steps, peak)).Seconds);
            }
            _progress.Report(++_epochsDone, $"{status}: epoch {epoch + 1}/{epochs}");
        }
        return seconds.Order().ElementAt(seconds.Count / 2);
    }

    private void Keep()
    {
        context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, _dense);
        context.Console.CheckpointWritten?.Invoke(_state.Results.Count);
    }
}
