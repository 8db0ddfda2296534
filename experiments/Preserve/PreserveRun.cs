using System.Text.Json;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using LsmrTorch.Experiments.Sparsity;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Preserve;

/// <summary>For each task and seed an old network, and from it one fine-tuning after the other, with a checkpoint after each.</summary>
internal sealed class PreserveRun(PreserveSizes sizes, RunContext context, Cifar10 images)
{
    /// <summary>The tasks, as figures name them.</summary>
    public static readonly IReadOnlyList<string> Tasks = ["classes", "turned"];

    private readonly ProgressLine _progress = new(context.Console, (long)Tasks.Count * sizes.Seeds * (1 + Cells(sizes).Count));
    private PreserveState _state = new();
    private Dictionary<string, Tensor> _old = [];

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public PreserveState Run()
    {
        using var scope = NewDisposeScope();
        if (context.Begin() is var (state, tensors)) {
            (_state, _old) = (Checkpoint.StateOf<PreserveState>(state), tensors);
            _progress.StartFrom(CellsDone);
            _progress.Say($"Going on after {CellsDone} networks.");
        }
        while (_state.Done < Tasks.Count * sizes.Seeds) {
            RunOne(Tasks[_state.Done / sizes.Seeds], context.Settings.Seed + (_state.Done % sizes.Seeds));
        }
        _progress.Clear();
        return _state;
    }

    private long CellsDone => ((long)_state.Done * (1 + Cells(sizes).Count)) + _state.Cells + 1;

    // Those with equal time come last, when it is known which weights are best.
    private static IReadOnlyList<(string Method, double Weight, bool IsEqualTime)> Cells(PreserveSizes sizes) => [
        ("plain", 0, false), ("ours", 0, false),
        .. sizes.Weights.Select(weight => ("replay", weight, false)), .. sizes.Weights.Select(weight => ("distillation", weight, false)),
        ("replay", double.NaN, true), ("distillation", double.NaN, true),
    ];

    private void RunOne(string task, long seed)
    {
        using var data = new PreserveTask(task, images, sizes, context.Settings.Seed, seed, context.Device);
        using var lane = new Lane("old", sizes.Training, seed, context.Device);
        if (_state.Cells < 0) {
            Train(lane, data.Old, $"{task}, seed {seed}");
            PreserveMeasure before = PreserveMeasure.Of(lane.Model, lane.Model, data.Old, data.OldOutputs);
            Add(new PreserveResult(task, seed, "before", 0, false, 0, before.Accuracy, PreserveMeasure.Of(lane.Model, lane.Model, data.New, data.NewOutputs).Accuracy, 0, 0, 0, 0));
            _old = [];
            lane.Save(_old);
            _state.Cells = 0;
            Keep();
        } else {
            lane.Load(_old);
        }
        IReadOnlyList<(string Method, double Weight, bool IsEqualTime)> cells = Cells(sizes);
        while (_state.Cells < cells.Count) {
            (string method, double weight, bool isEqualTime) = cells[_state.Cells];
            int steps = sizes.Steps;
            if (isEqualTime) {
                (weight, steps) = (PreserveReport.Best(_state, task, seed, method).Weight, (int)Math.Round(sizes.EqualTime * sizes.Steps));
            }
            Add(Tuned(task, seed, method, weight, isEqualTime, steps, lane.Model, data));
            _state.Cells++;
            Keep();
        }
        (_state.Done, _state.Cells) = (_state.Done + 1, -1);
        Keep();
    }

    private void Train(Lane lane, ImageBatches data, string status)
    {
        SparsitySizes training = sizes.Training;
        int steps = training.DenseEpochs * data.PerEpoch;
        for (int epoch = 0; epoch < training.DenseEpochs; epoch++) {
            int[] order = data.Order("old", epoch);
            for (int index = 0; index < data.PerEpoch; index++) {
                context.Console.Stop.ThrowIfCancellationRequested();
                int step = (epoch * data.PerEpoch) + index;
                using Batch batch = data.Train(order, "old", epoch, index);
                lane.Step(batch, step, Schedules.LearningRate(step, steps, training.DensePeak));
            }
            _progress.Report(CellsDone, $"{status}: old network, epoch {epoch + 1}/{training.DenseEpochs}");
        }
        Evaluation.SettleBatchStatistics(lane.Model, data, training.SettleBatches);
    }

    private PreserveResult Tuned(string task, long seed, string method, double weight, bool isEqualTime, int steps, nn.Module<Tensor, Tensor> old, PreserveTask data)
    {
        using var tuning = new FineTuning(method, weight, old, sizes, (data.OldOutputs, data.NewOutputs), context.Device);
        var seconds = new List<double>();
        for (int step = 0; step < steps; step++) {
            context.Console.Stop.ThrowIfCancellationRequested();
            using Batch fresh = Drawn(data.New, "new", step), guarded = Drawn(data.Guarded, "protected", step);
            double rate = sizes.LearningRate * 0.5 * (1 + Math.Cos(Math.PI * step / steps));
            seconds.Add(tuning.Step(fresh, guarded, rate));
            _progress.Report(CellsDone, $"{task}, seed {seed}, {method}{(weight > 0 ? $" {weight}" : "")}: step {step + 1}/{steps}");
        }
        PreserveMeasure before = PreserveMeasure.Of(tuning.Model, old, data.Old, data.OldOutputs), now = PreserveMeasure.Of(tuning.Model, old, data.New, data.NewOutputs);
        double chosenBy = (PreserveMeasure.Of(tuning.Model, old, data.Guarded, data.OldOutputs).Accuracy + PreserveMeasure.Of(tuning.Model, old, data.NewTuning, data.NewOutputs).Accuracy) / 2;
        return new PreserveResult(task, seed, method, weight, isEqualTime, steps, before.Accuracy, now.Accuracy, before.Change, chosenBy,
            Statistics.Median(seconds), tuning.Iterations.Count == 0 ? 0 : Statistics.Median(tuning.Iterations.Select(count => (double)count)));
    }

    // Batch number `step` of as many epochs as it takes.
    private static Batch Drawn(ImageBatches data, string phase, int step)
    {
        (int epoch, int index) = (step / data.PerEpoch, step % data.PerEpoch);
        return data.Train(data.Order(phase, epoch), phase, epoch, index);
    }

    private void Add(PreserveResult result)
    {
        _state.Results.Add(result);
        context.Folder.WriteMetric("network", result);
        _progress.Say($"{result.Task}, seed {result.Seed}, {result.Method}{(result.Weight > 0 ? $" {result.Weight}" : "")}{(result.IsEqualTime ? $", {result.Steps} steps" : "")}: "
            + $"old {result.OldAccuracy:P1}, new {result.NewAccuracy:P1}, logits changed by {result.LogitChange:P1}");
    }

    private void Keep()
    {
        context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, _old);
        context.Console.CheckpointWritten?.Invoke(_state.Results.Count);
    }
}
