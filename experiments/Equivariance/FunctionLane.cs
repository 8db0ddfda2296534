using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>
/// Ours, F: from the end of the warm-up on steps are held to f(gx) = f(x) on some images of the batch, a g drawn anew for each. κ falls with the
/// learning rate: what the correction breaks, the gradient must be able to mend.
/// </summary>
internal sealed class FunctionLane : EquivarianceLane
{
    private readonly NullSpaceOptimizer _optimizer;
    private Tensor? _images;
    private Tensor? _turned;

    public FunctionLane(string name, IReadOnlyList<int> widths, EquivarianceSizes sizes, long warmUp, long seed, Device device) : base(name, widths, sizes, seed, device)
    {
        Constraint constraint = Constraint.Equivariance(Settled, () => _images!, _ => _turned!, products: JacobianProducts.Differences);
        _optimizer = new NullSpaceOptimizer(Inner, Parameters, constraint, sizes.FunctionRate, sizes.FunctionDamp) {
            WarmUp = warmUp,
            Every = sizes.FunctionEvery,
            Tolerance = 0.1,
            MaxIterations = sizes.FunctionIterations,
        };
    }

    protected override void Update(Batch batch, int step)
    {
        _images = batch.Images.narrow(0, 0, Math.Min(Sizes.FunctionImages, batch.Images.size(0)));
        _turned = RandomSymmetries.Of(_images, Seeds.Managed(Seed, "functions", step));
        _optimizer.Rate = Sizes.FunctionRate * Inner.ParamGroups.First().LearningRate / Sizes.Peak;
        NullSpaceReport report = _optimizer.step();
        if (report.Projected) {
            LastStep = report;
        }
    }

    // With the statistics that test images are normalised by: a function of each image alone.
    private Tensor Settled(Tensor images)
    {
        Model.eval();
        Tensor logits = Model.forward(images);
        Model.train();
        return logits;
    }

    /// <summary>Says how many steps an earlier process did.</summary>
    public void GoOnAfter(long steps) => _optimizer.Steps = steps;
}
