using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>Trains field after field, with a checkpoint every few hundred steps.</summary>
internal sealed class ConservativenessRun(ConservativenessSizes sizes, RunContext context, Func<string, long, ScoreTask> taskOf)
{
    // What a step costs beside one of plain, roughly.
    private const int PenaltyCost = 2;
    private const int SolveCost = 25;

    private ConservativenessState _state = new();

    private int Fields => sizes.Densities.Count * sizes.Seeds;

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public ConservativenessState Run()
    {
        var progress = new ProgressLine(context.Console, Cost(sizes.Steps) * Fields);
        FieldRun? field = Restore(progress);
        try {
            while (_state.Step < sizes.Steps * Fields) {
                context.Console.Stop.ThrowIfCancellationRequested();
                field ??= Field(_state.Step / sizes.Steps);
                int step = _state.Step++ % sizes.Steps;
                Advance(field, step);
                if (step + 1 == sizes.Steps) {
                    End(field);
                    field.Dispose();
                    field = null;
                }
                if (_state.Step % sizes.CheckpointEvery == 0 || field is null) {
                    Keep(field, step + 1);
                }
                progress.Report((_state.Step / sizes.Steps * Cost(sizes.Steps)) + Cost(_state.Step % sizes.Steps), Status());
            }
        } finally {
            field?.Dispose();
        }
        progress.Clear();
        return _state;
    }

    private long Cost(int steps) => steps
        + ((long)PenaltyCost * (sizes.Penalties.Count + sizes.LongSteps) * Math.Max(0, steps - sizes.PenaltyWarmUpSteps))
        + ((long)(sizes.OneResidual ? PenaltyCost : SolveCost) * Math.Max(0, steps - sizes.WarmUpSteps));

    private string Status()
    {
        string start = $"field {Math.Min(Fields, (_state.Step / sizes.Steps) + 1)}/{Fields}, step {_state.Step % sizes.Steps}/{sizes.Steps}";
        FieldRecord? plain = _state.Records.FindLast(at => at.Network == "plain"), ours = _state.Records.FindLast(at => at.Network == "ours");
        return plain is null || ours is null ? start : $"{start}, asymmetry: plain {plain.Asymmetry:E1}, ours {ours.Asymmetry:E1}";
    }

    private FieldRun Field(int index)
    {
        (string density, int number) = (sizes.Densities[index / sizes.Seeds], index % sizes.Seeds);
        return new FieldRun(sizes, taskOf(density, Seeds.Derive(context.Settings.Seed, density, number)), number);
    }

    private void Advance(FieldRun field, int step)
    {
        bool isRecorded = step + 1 == sizes.Steps || (step + 1) % sizes.RecordEvery == 0;
        foreach ((ScoreLane lane, double loss, double seconds) in field.Step(step)) {
            if (!isRecorded) {
                continue;
            }
            FieldRecord record = field.Measure(lane, step, loss);
            _state.Records.Add(record);
            context.Folder.WriteMetric("step", record);
            if (step < sizes.WarmUpSteps) {
                continue;
            }
            if (!_state.StepSeconds.TryGetValue(lane.Name, out List<double>? all)) {
                _state.StepSeconds[lane.Name] = all = [];
            }
            all.Add(Math.Round(seconds, 6));
            if (lane is ConstrainedLane { LastStep: { Projected: true } report }) {
                var solve = new FieldSolve(field.Density, field.Number, step + 1, report.ConstraintNorm, report.PredictedConstraintNorm, report.StepNorm,
                    report.CorrectionNorm, report.Iterations, report.ConditionEstimate, report.Stop.ToString());
                _state.Solves.Add(solve);
                context.Folder.WriteMetric("solve", solve);
            }
        }
    }

    private void End(FieldRun field)
    {
        foreach (FieldEnd end in field.Ends()) {
            _state.Ends.Add(end);
            context.Folder.WriteMetric("end", end);
        }
        if (field.Number == 0) {
            ConservativenessPlots.Samples(sizes, _state, field, context.Folder);
        }
    }

    private void Keep(FieldRun? field, int steps)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        field?.Save(tensors, steps);
        context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, tensors);
        context.Console.CheckpointWritten?.Invoke(_state.Step);
    }

    private FieldRun? Restore(ProgressLine progress)
    {
        using var scope = NewDisposeScope();
        if (context.Begin() is not var (state, tensors)) {
            return null;
        }
        _state = Checkpoint.StateOf<ConservativenessState>(state);
        int steps = _state.Step % sizes.Steps;
        progress.StartFrom((_state.Step / sizes.Steps * Cost(sizes.Steps)) + Cost(steps));
        progress.Say($"Going on after step {_state.Step} of {sizes.Steps * Fields}.");
        if (steps == 0) {
            return null;
        }
        FieldRun field = Field(_state.Step / sizes.Steps);
        field.Load(tensors, steps);
        return field;
    }
}
