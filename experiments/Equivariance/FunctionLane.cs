using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>
/// Ours, F: steps are held to f(gx) = f(x) on some images of the batch, a g drawn anew for each. Images and transformed ones are normalised together, by
/// their own statistics: by the running ones f(gx) − f(x) shrinks when the weights do, which the statistics of the next batch undo. κ falls with the
/// learning rate: what the correction breaks, the gradient must be able to mend.
/// </summary>
internal sealed class FunctionLane : EquivarianceLane
{
    private readonly NullSpaceOptimizer _optimizer;
    private readonly bool _augments;
    private Tensor? _images;

    /// <param name="name">The word for it.</param>
    /// <param name="widths">Channels of the three stages.</param>
    /// <param name="sizes">The numbers of the constraint among them.</param>
    /// <param name="warmUp">Steps without the constraint at the start.</param>
    /// <param name="augments">Whether the loss sees every image under a random symmetry.</param>
    /// <param name="seed">What everything random is drawn from.</param>
    /// <param name="device">Where it trains.</param>
    public FunctionLane(string name, IReadOnlyList<int> widths, EquivarianceSizes sizes, long warmUp, bool augments, long seed, Device device)
        : base(name, widths, sizes, seed, device)
    {
        _augments = augments;
        _optimizer = new NullSpaceOptimizer(Inner, Parameters, Constraint.FromResidual(Residual, JacobianProducts.Differences), sizes.FunctionRate, sizes.FunctionDamp) {
            WarmUp = warmUp,
            Tolerance = 0.1,
            MaxIterations = sizes.FunctionIterations,
        };
    }

    /// <summary>Says how many steps an earlier process did.</summary>
    public void GoOnAfter(long steps) => _optimizer.Steps = steps;

    /// <inheritdoc/>
    protected override Tensor Loss(Batch batch, int step) => _augments ? AugmentedLoss(batch, step) : base.Loss(batch, step);

    /// <inheritdoc/>
    protected override void Update(Batch batch, int step)
    {
        Tensor images = batch.Images.narrow(0, 0, Math.Min(Sizes.FunctionImages, batch.Images.size(0)));
        _images = cat([images, RandomSymmetries.Of(images, Seeds.Managed(Seed, "functions", step))]);
        _optimizer.Rate = Sizes.FunctionRate * Inner.ParamGroups.First().LearningRate / Sizes.Peak;
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
