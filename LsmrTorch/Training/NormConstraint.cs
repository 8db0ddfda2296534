using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>c = ‖θ‖ − norm; J = θᵀ/‖θ‖, and 0 at θ = 0, where there is no direction.</summary>
internal sealed class NormConstraint : Constraint
{
    private readonly Parameter parameter;
    private readonly double norm;

    public NormConstraint(Parameter parameter, double norm)
    {
        ParameterIdentity.RequireAlive(parameter, nameof(parameter));
        (this.parameter, this.norm) = (parameter, Require.NonNegative(norm, nameof(norm)));
    }

    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        using var guard = no_grad();
        Tensor direction = Vectors.Copy(parameter.detach());
        double size = Vectors.Norm(direction);
        if (size > 0)
            Vectors.Divide(direction, size);
        Tensor c = full([1], size - norm, parameter.dtype, parameter.device);
        int place = BlockJacobian.Place(parameters, parameter);
        return (c, new BlockJacobian(parameters, [place < 0 ? [] : [(place, new InnerProduct(direction))]], [1]));
    }
}
