using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>c by a closure, J by autograd, or J v by differences.</summary>
internal sealed class ResidualConstraint : Constraint
{
    private readonly Func<Tensor> residual;
    private readonly JacobianProducts products;

    public ResidualConstraint(Func<Tensor> residual, JacobianProducts products)
    {
        ArgumentNullException.ThrowIfNull(residual);
        if (!Enum.IsDefined(products))
            throw new ArgumentException($"There is no way {products} to multiply by a Jacobian.", nameof(products));
        (this.residual, this.products) = (residual, products);
    }

    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        if (products == JacobianProducts.Derivatives) {
            Linearization recorded = Record(parameters, forwardProducts: true);
            return (recorded.Value.detach(), new ParameterJacobian(recorded, parameters, null));
        }
        using Tensor before = get_rng_state();
        Linearization transposed = Record(parameters, forwardProducts: false);
        Tensor c = transposed.Value.detach();
        var quotient = new DifferenceQuotient(() => Residual(parameters), c, parameters, before);
        return (c, new ParameterJacobian(transposed, parameters, quotient));
    }

    public override Tensor Evaluate(IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Residual(parameters).detach());
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
        ParameterIdentity.RequireOnce(parameters, "The parameters that may move");
        var recorded = new Linearization(() => ReadOnly(parameters), parameters, forwardProducts, createGraph: false);
        return recorded.Value.requires_grad || recorded.Value.numel() == 0
            ? recorded
            : throw new ArgumentException("The constraint's residual does not depend on the parameters by operations that autograd knows.");
    }

    // c and its Jacobian are those of θ, which the residual must therefore leave as it is.
    private Tensor ReadOnly(IReadOnlyList<Parameter> parameters)
    {
        double[] before = TensorNorms.Of(parameters);
        Tensor c = Residual(parameters);
        if (!TensorNorms.Of(parameters).SequenceEqual(before))
            throw new ArgumentException(
                "The constraint's residual must only read the parameters, but it has changed one in place.");
        return c;
    }

    // c in the dtype of the parameters and on their device; either conversion is differentiated.
    private Tensor Residual(IReadOnlyList<Parameter> parameters)
    {
        Tensor c = residual() ?? throw new ArgumentException(
            "The constraint's residual must be a tensor, but is null.");
        if (is_complex(c.dtype))
            throw new ArgumentException(
                $"The constraint's residual must be real, but is {c.dtype}; view_as_real gives both parts.");
        return c.to(parameters[0].dtype, parameters[0].device);
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
