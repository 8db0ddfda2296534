using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>Trains the networks of one problem and seed after the other, those of a problem and a seed side by side.</summary>
internal sealed class OrderRun(OrderSizes sizes, RunContext context)
{
    private readonly (ProblemSizes Sizes, int Seed)[] _problems = [.. from problem in sizes.Problems from seed in Enumerable.Range(0, sizes.Seeds) select (problem, seed)];
    private OrderState _state = new();

    private int TotalSteps => _problems.Sum(problem => problem.Sizes.Steps);

    private int StepsDone => _problems.Take(_state.Problem).Sum(problem => problem.Sizes.Steps) + _state.Step;

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public OrderState Run()
    {
        var progress = new ProgressLine(context.Console, TotalSteps);
        OrderLane[]? lanes = Restore(progress);
        try {
            while (_state.Problem < _problems.Length) {
                (ProblemSizes problem, int seed) = _problems[_state.Problem];
                lanes ??= Lanes(problem, seed);
                context.Console.Stop.ThrowIfCancellationRequested();
                Advance(problem, seed, lanes, _state.Step++);
                progress.Report(StepsDone, $"{problem.Name}, seed {seed + 1}/{sizes.Seeds}, step {_state.Step}/{problem.Steps}");
                bool isLast = _state.Step == problem.Steps;
                if (isLast) {
                    Dispose(lanes);
                    lanes = null;
                    (_state.Problem, _state.Step) = (_state.Problem + 1, 0);
                }
                if (isLast || _state.Step % sizes.CheckpointEvery == 0) {
                    Keep(lanes ?? []);
                }
            }
        } finally {
            Dispose(lanes ?? []);
        }
        progress.Clear();
        return _state;
    }

    private OrderLane[] Lanes(ProblemSizes problem, int seed) =>
        OrderLane.All(sizes, problem, Seeds.Derive(context.Settings.Seed, problem.Name, seed), context.Device);

    private static void Dispose(OrderLane[] lanes)
    {
        foreach (OrderLane lane in lanes) {
            lane.Dispose();
        }
    }

    private void Advance(ProblemSizes problem, int seed, OrderLane[] lanes, int step)
    {
        bool isRecorded = step + 1 == problem.Steps || (step + 1) % sizes.RecordEvery == 0;
        foreach (OrderLane lane in lanes.Where(lane => !lane.HasDiverged)) {
            lane.Step(step);
            OrderMeasure measure = isRecorded && !lane.HasDiverged ? lane.Measure() : default;
            lane.HasDiverged |= !measure.IsFinite;
            if (lane.HasDiverged) {
                var divergence = new OrderDivergence(problem.Name, seed, lane.Optimizer, lane.Order, step + 1);
                _state.Divergences.Add(divergence);
                context.Folder.WriteMetric("divergence", divergence);
            } else if (isRecorded) {
                NullSpaceReport? solve = lane.LastStep is { Projected: true } report ? report : null;
                var record = new OrderRecord(problem.Name, seed, lane.Optimizer, lane.Order, step + 1, measure.Loss, measure.Constraint,
                    lane.OtherName, measure.Other, solve?.Iterations, solve?.ConditionEstimate);
                _state.Records.Add(record);
                context.Folder.WriteMetric("step", record);
            }
        }
    }

    private void Keep(OrderLane[] lanes)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        foreach (OrderLane lane in lanes) {
            lane.Save(tensors);
        }
        context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, tensors);
        context.Console.CheckpointWritten?.Invoke(StepsDone);
    }

    private OrderLane[]? Restore(ProgressLine progress)
    {
        using var scope = NewDisposeScope();
        if (context.Begin() is not var (state, tensors)) {
            return null;
        }
        _state = Checkpoint.StateOf<OrderState>(state);
        progress.StartFrom(StepsDone);
        progress.Say($"Going on after step {StepsDone} of {TotalSteps}.");
        if (_state.Step == 0) {
            return null;
        }
        (ProblemSizes problem, int seed) = _problems[_state.Problem];
        OrderLane[] lanes = Lanes(problem, seed);
        foreach (OrderLane lane in lanes) {
            lane.Load(tensors);
            lane.HasDiverged = _state.Divergences.Any(gone => gone.Problem == problem.Name && gone.Seed == seed && gone.Optimizer == lane.Optimizer && gone.Order == lane.Order);
        }
        return lanes;
    }
}
