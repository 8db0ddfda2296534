using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>c = ‖r‖/√k for the k residuals r of another constraint; J = rᵀJ_r/(√k‖r‖), and 0 at r = 0, where there is no direction.</summary>
internal sealed class RootMeanSquareConstraint : Constraint
{
    private readonly Constraint residuals;

    public RootMeanSquareConstraint(Constraint residuals)
    {
        ArgumentNullException.ThrowIfNull(residuals);
        this.residuals = residuals;
    }

    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        double norm = 0, root = 1;
        (Tensor r, Tensor row) = residuals.TransposeProduct(parameters, r => {
            (norm, root) = (Vectors.Norm(r), Math.Sqrt(r.numel()));
            Tensor direction = Vectors.Copy(r);
            if (norm > 0)
                Vectors.Divide(direction, norm);
            Vectors.Divide(direction, root);
            return direction;
        });
        return (Of(r, norm / root), new InnerProduct(row));
    }

    public override Tensor Evaluate(IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        Tensor r = residuals.Evaluate(parameters);
        return scope.MoveToOuter(Of(r, Vectors.Norm(r) / Math.Sqrt(r.numel())));
    }

    // Of no residuals there is none.
    private static Tensor Of(Tensor r, double size) => full([Math.Min(1, r.numel())], size, r.dtype, r.device);
}
