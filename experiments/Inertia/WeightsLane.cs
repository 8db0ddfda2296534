using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>Ours, W: from the first step on all weights commute with the representations of their layers, exactly: ρ_out(g) W = W ρ_in(g) for generators g.</summary>
internal sealed class WeightsLane : InertiaLane
{
    private readonly NullSpaceOptimizer _optimizer;
    private readonly List<Tensor> _matrices = [];

    public WeightsLane(string name, InertiaSizes sizes, InertiaData data, TensorNet network) : base(name, sizes, data, network)
    {
        using var scope = NewDisposeScope();
        var constraints = new List<Constraint>();
        foreach (Tensor g in OrthogonalGroup.Generators()) {
            constraints.AddRange(network.Layers.Select(layer => Constraint.EquivariantWeights(layer.Weight, Operator(layer.To, g), Operator(layer.From, g))));
        }
        _optimizer = new NullSpaceOptimizer(Adam, Parameters, Constraint.All(constraints), rate: 1) { Tolerance = sizes.WeightsTolerance };
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _matrices.ForEach(matrix => matrix.Dispose());
    }

    protected override void Update(Tensor x, long number) => LastStep = _optimizer.step();

    protected override void SaveOptimizer(BinaryWriter writer) => _optimizer.save_state_dict(writer);

    protected override void LoadOptimizer(BinaryReader reader) => _optimizer.load_state_dict(reader);

    private LinearOperator Operator(Representation representation, Tensor g)
    {
        Tensor matrix = representation.Of(g).DetachFromDisposeScope();
        _matrices.Add(matrix);
        return LinearOperator.FromMatrix(matrix);
    }
}
