using System.Text.Json;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>One seed after the other, with a checkpoint after every epoch.</summary>
internal sealed class EquivarianceRun(EquivarianceSizes sizes, RunContext context, Cifar10 images)
{
    private const int Parts = 1000;     // of an epoch, which progress is counted in
    private readonly ProgressLine _progress = new(context.Console, (long)sizes.Seeds * sizes.Epochs * Parts);
    private EquivarianceState _state = new();

    private int EpochsDone => (_state.Seed * sizes.Epochs) + _state.Epoch;

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public EquivarianceState Run()
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = Restore();
        while (_state.Seed < sizes.Seeds) {
            using var ofSeed = NewDisposeScope();
            using var seed = new SeedRun(sizes, images, context.Settings.Seed + _state.Seed, hasAll: _state.Seed == 0, context.Device);
            if (_state.Epoch > 0) {
                seed.Load(tensors);
            }
            while (_state.Epoch < sizes.Epochs) {
                Advance(seed);
                if (_state.Epoch < sizes.Epochs) {
                    Keep(seed);
                }
            }
            (_state.Seed, _state.Epoch) = (_state.Seed + 1, 0);
            Keep(null);
        }
        _progress.Clear();
        return _state;
    }

    private void Advance(SeedRun seed)
    {
        var losses = new double[seed.Lanes.Count];
        var seconds = new double[seed.Lanes.Count];
        int steps = 0;
        foreach ((double Loss, double Seconds)[] step in seed.Epoch(_state.Epoch)) {
            context.Console.Stop.ThrowIfCancellationRequested();
            steps++;
            for (int i = 0; i < step.Length; i++) {
                losses[i] += step[i].Loss;
                seconds[i] += step[i].Seconds;
                Add(_state.StepSeconds, seed.Lanes[i].Name, step[i].Seconds);
            }
            _progress.Report(((long)EpochsDone * Parts) + (steps * Parts / seed.PerEpoch), $"seed {_state.Seed + 1}/{sizes.Seeds}, epoch {_state.Epoch + 1}/{sizes.Epochs}, step {steps}");
        }
        _state.Epoch++;
        var measured = new List<string>();
        for (int i = 0; i < losses.Length; i++) {
            EquivarianceLane lane = seed.Lanes[i];
            EpochRecord record = Record(seed, lane, losses[i] / steps);
            measured.Add($"{lane.Name} {record.TransformedAccuracy:P1}");
            if (_state.Seed == 0) {
                _state.Freedom[lane.Name] = FreedomOf(lane);
                Add(_state.Seconds, lane.Name, seconds[i] + (_state.Seconds.GetValueOrDefault(lane.Name)?[^1] ?? 0));
            }
        }
        _progress.Say($"seed {_state.Seed + 1}/{sizes.Seeds}, epoch {_state.Epoch}/{sizes.Epochs}, transformed test images: {string.Join(", ", measured)}");
    }

    private EpochRecord Record(SeedRun seed, EquivarianceLane lane, double loss)
    {
        EquivarianceMeasure measured = seed.Measure(lane);
        var record = new EpochRecord(_state.Seed, lane.Name, _state.Epoch, loss, measured.Accuracy, measured.Transformed, measured.Error,
            lane.LastStep?.ConstraintNorm, lane.LastStep?.Iterations);
        _state.Epochs.Add(record);
        context.Folder.WriteMetric("epoch", record);
        return record;
    }

    // Weights, or orbits of weights: one in eight between fields, more where entries stay in their place.
    private static long FreedomOf(EquivarianceLane lane) => lane is WeightsLane ? FieldConstraint.Freedom(lane.Model) : lane.Model.parameters().Sum(parameter => parameter.numel());

    private static void Add(Dictionary<string, List<double>> all, string network, double seconds)
    {
        if (!all.TryGetValue(network, out List<double>? values)) {
            all[network] = values = [];
        }
        values.Add(Math.Round(seconds, 6));
    }

    private void Keep(SeedRun? seed)
    {
        var tensors = new Dictionary<string, Tensor>();
        seed?.Save(tensors);
        context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, tensors);
        context.Console.CheckpointWritten?.Invoke(EpochsDone);
    }

    // The tensors of the checkpoint, if there is one.
    private Dictionary<string, Tensor> Restore()
    {
        if (context.Begin() is not var (state, tensors)) {
            return [];
        }
        _state = Checkpoint.StateOf<EquivarianceState>(state);
        _progress.StartFrom((long)EpochsDone * Parts);
        _progress.Say($"Going on after epoch {EpochsDone} of {sizes.Seeds * sizes.Epochs}.");
        return tensors;
    }
}
