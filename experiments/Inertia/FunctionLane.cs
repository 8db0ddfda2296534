using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>Ours, F: after a warm-up every step is held to f(gx) = g f(x) gᵀ on some points of the batch, each with a g drawn anew.</summary>
internal sealed class FunctionLane : InertiaLane
{
    private readonly NullSpaceOptimizer _optimizer;
    private Tensor? _points;
    private Tensor? _elements;

    public FunctionLane(string name, InertiaSizes sizes, InertiaData data, nn.Module<Tensor, Tensor> network) : base(name, sizes, data, network)
    {
        Constraint constraint = Constraint.Equivariance(network.forward, () => _points!, x => OrthogonalGroup.OnPoints(_elements!, x), y => OrthogonalGroup.OnTensors(_elements!, y),
            JacobianProducts.Differences);
        _optimizer = new NullSpaceOptimizer(Adam, Parameters, constraint, sizes.FunctionRate, sizes.FunctionDamp) {
            Order = ProjectionOrder.Metric,
            WarmUp = sizes.FunctionWarmUp,
            Tolerance = 0.1,
            MaxIterations = sizes.FunctionIterations,
        };
    }

    protected override void Update(Tensor x, long number)
    {
        _points = x.narrow(0, 0, Math.Min(Sizes.FunctionPoints, x.size(0)));
        _elements = Data.Elements("function", number, _points.size(0));
        NullSpaceReport report = _optimizer.step();
        if (report.Projected) {
            LastStep = report;
        }
    }

    protected override void SaveOptimizer(BinaryWriter writer) => _optimizer.save_state_dict(writer);

    protected override void LoadOptimizer(BinaryReader reader) => _optimizer.load_state_dict(reader);
}
