using LsmrTorch.Experiments.Images;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>Ours, W: every layer's weights commute with the symmetries, by the null-space method from the first step on, exactly.</summary>
internal sealed class WeightsLane : EquivarianceLane
{
    private readonly NullSpaceOptimizer _optimizer;

    public WeightsLane(string name, IReadOnlyList<int> widths, EquivarianceSizes sizes, long seed, Device device)
        : base(name, widths, sizes with { Peak = sizes.WeightsPeak }, seed, device)
    {
        _optimizer = new NullSpaceOptimizer(Inner, Parameters, FieldConstraint.Of(Model), rate: 1);
        Begin();
    }

    protected override void Update(Batch batch, int step) => LastStep = _optimizer.step();

    // The start of the others, made to commute, which is a mean over the group and makes weights smaller, and given back the size that it had.
    private void Begin()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Tensor[] norms = [.. Parameters.Select(parameter => parameter.norm())];
        _optimizer.step();      // the learning rate is still zero
        _optimizer.Steps = 0;
        foreach ((Tensor norm, var parameter) in norms.Zip(Parameters)) {
            if (norm.item<float>() > 0) {
                parameter.mul_(norm / parameter.norm());
            }
        }
    }
}
