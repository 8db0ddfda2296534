using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>What a function is worth on points.</summary>
/// <param name="Error">‖f(x) − I‖/‖I‖ over all of them.</param>
/// <param name="Transformed">The same for gx and gIgᵀ, each point under its own g.</param>
/// <param name="Equivariance">‖f(gx) − g f(x) gᵀ‖/‖f(x)‖.</param>
internal readonly record struct InertiaMeasure(double Error, double Transformed, double Equivariance)
{
    public static InertiaMeasure Of(Func<Tensor, Tensor> function, InertiaData.Set points)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Tensor g = points.Elements, value = function(points.X), transformed = function(OrthogonalGroup.OnPoints(g, points.X));
        return new InertiaMeasure(
            Norm(value.sub(points.Inertia)) / Norm(points.Inertia),
            Norm(transformed.sub(OrthogonalGroup.OnTensors(g, points.Inertia))) / Norm(points.Inertia),
            Norm(transformed.sub(OrthogonalGroup.OnTensors(g, value))) / Norm(value));
    }

    private static double Norm(Tensor tensor) => Math.Sqrt(tensor.to_type(ScalarType.Float64).square().sum().item<double>());
}
