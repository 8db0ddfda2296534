using System.Text.Json;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>Trains problem after problem, its networks side by side, with a checkpoint every few steps.</summary>
internal sealed class InertiaRun(InertiaSizes sizes, RunContext context)
{
    private InertiaState _state = new();

    private int Total => sizes.Steps * sizes.Seeds * 2;

    /// <summary>Trains from the start or from the checkpoint, up to the end.</summary>
    public InertiaState Run()
    {
        var progress = new ProgressLine(context.Console, Total);
        InertiaProblem? problem = Restore(progress);
        try {
            while (_state.Step < Total) {
                context.Console.Stop.ThrowIfCancellationRequested();
                problem ??= Problem();
                int step = _state.Step % sizes.Steps;
                Advance(problem, step);
                _state.Step++;
                bool isEnd = step + 1 == sizes.Steps;
                if (isEnd) {
                    problem.Dispose();
                    problem = null;
                }
                if (isEnd || (step + 1) % sizes.CheckpointEvery == 0) {
                    Keep(problem);
                }
                progress.Report(_state.Step, $"problem {(_state.Step - 1) / sizes.Steps + 1}/{2 * sizes.Seeds}, step {step + 1}/{sizes.Steps}");
            }
        } finally {
            problem?.Dispose();
        }
        progress.Clear();
        return _state;
    }

    private InertiaProblem Problem()
    {
        int index = _state.Step / sizes.Steps;
        return new InertiaProblem(sizes, index < sizes.Seeds ? sizes.FewPoints : sizes.ManyPoints, index % sizes.Seeds, context.Settings.Seed);
    }

    private void Advance(InertiaProblem problem, int step)
    {
        bool isRecorded = step + 1 == sizes.Steps || (step + 1) % sizes.RecordEvery == 0;
        foreach (InertiaLane lane in problem.Lanes) {
            (double loss, double seconds) = lane.Step(step);
            if (step >= sizes.FunctionWarmUp) {
                if (!_state.StepSeconds.TryGetValue(lane.Name, out List<double>? all)) {
                    _state.StepSeconds[lane.Name] = all = [];
                }
                all.Add(Math.Round(seconds, 6));
            }
            if (isRecorded) {
                InertiaRecord record = problem.Measure(lane, step, loss);
                _state.Records.Add(record);
                context.Folder.WriteMetric("step", record);
            }
        }
    }

    private void Keep(InertiaProblem? problem)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        foreach (InertiaLane lane in problem?.Lanes ?? []) {
            lane.Save(tensors);
        }
        context.Folder.SaveCheckpoint(JsonSerializer.SerializeToNode(_state)!, tensors);
        context.Console.CheckpointWritten?.Invoke(_state.Step);
    }

    private InertiaProblem? Restore(ProgressLine progress)
    {
        if (context.Begin() is not var (state, tensors)) {
            return null;
        }
        _state = Checkpoint.StateOf<InertiaState>(state);
        progress.StartFrom(_state.Step);
        progress.Say($"Going on after step {_state.Step} of {Total}.");
        InertiaProblem? problem = null;
        if (_state.Step % sizes.Steps != 0) {
            problem = Problem();
            foreach (InertiaLane lane in problem.Lanes) {
                lane.Load(tensors);
            }
        }
        foreach (Tensor tensor in tensors.Values) {
            tensor.Dispose();
        }
        return problem;
    }
}
