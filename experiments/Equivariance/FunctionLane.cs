using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>
/// Ours, F: steps are held to f(gx) = f(x) on some images of the batch, a g drawn anew for each: to its root mean square over them, or, where each logit is a
/// residual of its own, to all of it. Images and transformed ones are normalised together, by their own statistics: by the running ones f(gx) − f(x) shrinks when
/// the weights do, which the statistics of the next batch undo. κ falls with the learning rate: what the correction breaks, the gradient must be able to mend.
/// </summary>
internal sealed class FunctionLane : EquivarianceLane
{
    private readonly NullSpaceOptimizer _optimizer;
    private readonly FunctionReading _reading;
    private readonly double _rate;
    private readonly int _count;
    private Tensor? _images;

    private string OptimizerKey => $"{Name}/optimizer";

    /// <param name="name">The word for it.</param>
    /// <param name="reading">What it is held to, and when.</param>
    /// <param name="widths">Channels of the three stages.</param>
    /// <param name="sizes">The numbers of the constraint among them.</param>
    /// <param name="seed">What everything random is drawn from.</param>
    /// <param name="device">Where it trains.</param>
    public FunctionLane(string name, FunctionReading reading, IReadOnlyList<int> widths, EquivarianceSizes sizes, long seed, Device device)
        : base(name, widths, sizes, seed, device)
    {
        _reading = reading;
        (_rate, _count) = reading.Each ? (sizes.EachRate, sizes.EachImages) : (sizes.FunctionRate, sizes.FunctionImages);
        Constraint each = Constraint.FromResidual(Residual, JacobianProducts.Differences);
        _optimizer = new NullSpaceOptimizer(Inner, Parameters, reading.Each ? each : Constraint.RootMeanSquare(each), _rate, reading.Each ? sizes.EachDamp : 0) {
            WarmUp = reading.WarmUp,
            Smoothing = reading.Each ? 0 : sizes.FunctionSmoothing,
            Tolerance = 0.1,
            MaxIterations = sizes.EachIterations,
        };
    }

    /// <inheritdoc/>
    public override void Save(Dictionary<string, Tensor> tensors)
    {
        base.Save(tensors);
        tensors[OptimizerKey] = OptimizerBytes.Of(_optimizer.save_state_dict);
    }

    /// <inheritdoc/>
    public override void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        base.Load(tensors);
        OptimizerBytes.Read(tensors[OptimizerKey], _optimizer.load_state_dict);
    }

    /// <inheritdoc/>
    protected override Tensor Loss(Batch batch, int step) => _reading.Augments ? AugmentedLoss(batch, step) : base.Loss(batch, step);

    /// <inheritdoc/>
    protected override void Update(Batch batch, int step)
    {
        Tensor images = batch.Images.narrow(0, 0, Math.Min(_count, batch.Images.size(0)));
        _images = cat([images, RandomSymmetries.Of(images, Seeds.Managed(Seed, "functions", step))]);
        _optimizer.Rate = _rate * Inner.ParamGroups.First().LearningRate / Sizes.Peak;
        NullSpaceReport report = _optimizer.step();
        if (report.Projected) {
            LastStep = report;
        }
    }

    private Tensor Residual()
    {
        Tensor[] logits = Model.ByOwnStatistics(_images!).chunk(2);
        return logits[1].sub(logits[0]).reshape(-1);
    }
}

/// <summary>How a network is held to f(gx) = f(x).</summary>
/// <param name="Each">Whether each logit is a residual of its own, or their root mean square the only one.</param>
/// <param name="Augments">Whether the loss sees every image under a random symmetry.</param>
/// <param name="WarmUp">Steps without the constraint at the start.</param>
internal readonly record struct FunctionReading(bool Each = false, bool Augments = false, long WarmUp = 0);
