using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>One density and seed: its networks, side by side, and their test.</summary>
internal sealed class FieldRun : IDisposable
{
    private readonly ConservativenessSizes _sizes;
    private readonly ScoreTask _task;
    private readonly ScoreLane[] _lanes;
    private readonly FieldTest _test;

    /// <param name="sizes">Of all networks.</param>
    /// <param name="task">The density, with a seed of its own.</param>
    /// <param name="number">Of the seed, from 0.</param>
    public FieldRun(ConservativenessSizes sizes, ScoreTask task, int number)
    {
        (_sizes, _task, Number) = (sizes, task, number);
        _lanes = [
            new ScoreLane("plain", sizes, _task),
            .. sizes.Penalties.Select(weight => new PenaltyLane(weight, 1, sizes, _task)),
            .. sizes.LongSteps == 0 ? Array.Empty<ScoreLane>() : [new PenaltyLane(sizes.LongPenalty, sizes.LongSteps, sizes, _task)],
            new ConstrainedLane(sizes, _task),
        ];
        _test = new FieldTest(sizes, _task);
    }

    /// <summary>The density's name.</summary>
    public string Density => _task.Density;

    /// <summary>Of the seed, from 0.</summary>
    public int Number { get; }

    /// <summary>One step of every network that has begun; those besides plain begin where plain is.</summary>
    public IEnumerable<(ScoreLane Lane, double Loss, double Seconds)> Step(int step)
    {
        foreach (ScoreLane lane in _lanes[1..].Where(lane => lane.FirstStep == step)) {
            lane.Join(_lanes[0]);
        }
        foreach (ScoreLane lane in Running(step)) {
            (double loss, double seconds) = lane.Step(step);
            yield return (lane, loss, seconds);
        }
    }

    /// <summary>The test's loss and asymmetry over all levels.</summary>
    public FieldRecord Measure(ScoreLane lane, int step, double loss) =>
        new(Density, Number, lane.Name, step + 1, loss, _test.Losses(lane.Network).Average(), _test.Asymmetries(lane.Network).Average());

    /// <summary>The test's numbers for all networks at the end.</summary>
    public IEnumerable<FieldEnd> Ends() => _lanes.Select(lane =>
        new FieldEnd(Density, Number, lane.Name, _test.Losses(lane.Network), _test.Asymmetries(lane.Network), _test.AsymmetryError(lane.Network), _task.Dimension == 2 ? _test.PathDependence(lane.Network) : []));

    /// <summary>Points drawn from each network's score, point after point, and, under "density", from the density itself.</summary>
    public Dictionary<string, float[]> Samples()
    {
        using var scope = NewDisposeScope();
        var samples = new Dictionary<string, float[]> { ["density"] = Numbers(_task.Points("picture", _sizes.Samples)) };
        foreach (ScoreLane lane in _lanes) {
            samples[lane.Name] = Numbers(ProbabilityFlow.Sample(lane.Network, _task, _sizes, _sizes.Samples));
        }
        return samples;

        static float[] Numbers(Tensor points) => points.cpu().contiguous().data<float>().ToArray();
    }

    /// <summary>Puts all that have begun into a checkpoint, after <paramref name="steps"/> steps.</summary>
    public void Save(Dictionary<string, Tensor> tensors, int steps)
    {
        foreach (ScoreLane lane in Running(steps - 1)) {
            lane.Save(tensors);
        }
    }

    /// <summary>Takes them from it.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors, int steps)
    {
        using var scope = NewDisposeScope();
        foreach (ScoreLane lane in Running(steps - 1)) {
            lane.Load(tensors);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ScoreLane lane in _lanes) {
            lane.Dispose();
        }
        _test.Dispose();
    }

    private IEnumerable<ScoreLane> Running(int step) => _lanes.Where(lane => lane.FirstStep <= step);
}
