using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>c by a closure, J by autograd, or J v by differences.</summary>
internal sealed class ResidualConstraint(Func<Tensor> residual, JacobianProducts products) : Constraint
{
    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        bool byDifferences = products == JacobianProducts.Differences;
        Linearization recorded = Record(parameters, forwardProducts: !byDifferences);
        Tensor c = recorded.Value.detach();
        return (c, new ParameterJacobian(recorded, parameters, byDifferences ? new DifferenceQuotient(residual, c, parameters) : null));
    }

    public override Tensor Evaluate(IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(residual().detach());
    }

    internal override (Tensor, Tensor) TransposeProduct(IReadOnlyList<Parameter> parameters, Func<Tensor, Tensor> cotangent)
    {
        using var scope = NewDisposeScope();
        Linearization recorded = Record(parameters, forwardProducts: false);
        Tensor c = recorded.Value.detach();
        return (scope.MoveToOuter(c), scope.MoveToOuter(new ParameterJacobian(recorded, parameters, null).VecMat(cotangent(c))));
    }

    private Linearization Record(IReadOnlyList<Parameter> parameters, bool forwardProducts)
    {
        var recorded = new Linearization(residual, parameters, forwardProducts, createGraph: false);
        return recorded.Value.requires_grad || recorded.Value.numel() == 0
            ? recorded
            : throw new ArgumentException("The constraint's residual does not depend on the parameters by operations that autograd knows.");
    }

    private sealed class ParameterJacobian(Linearization recorded, IReadOnlyList<Parameter> parameters, DifferenceQuotient? quotient)
        : LinearOperator([parameters.Sum(p => p.numel())], recorded.Value.shape, recorded.Value.dtype, recorded.Value.device)
    {
        private readonly long[][] shapes = [.. parameters.Select(p => p.shape)];

        protected internal override Tensor MatVec(Tensor v)
        {
            using var scope = NewDisposeScope();
            if (quotient is not null)
                return scope.MoveToOuter(quotient.Product(Vectors.Split(v, shapes), Vectors.Norm(v)));
            return scope.MoveToOuter(recorded.Product(Vectors.Split(v, shapes)) ?? zeros([.. OutputShape], dtype, device));
        }

        protected internal override Tensor VecMat(Tensor u)
        {
            using var scope = NewDisposeScope();
            Tensor?[] products = recorded.TransposeProduct(u);
            return scope.MoveToOuter(Vectors.Flatten(products.Zip(shapes, (product, shape) => product ?? zeros(shape, dtype, device))));
        }
    }
}
