using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A condition c(θ) = 0 on parameters: its residual at the present parameters, and the Jacobian J = ∂c/∂θ there. The
/// parameters are taken as one vector, their entries row-major, one parameter after the other.
/// </summary>
public abstract class Constraint
{
    /// <summary>
    /// c and J at the present values. The tensors of both belong to the current dispose scope; J is used before any
    /// parameter changes.
    /// </summary>
    /// <param name="parameters">Those that may move, each requiring a gradient.</param>
    /// <returns>c, of any shape, without a graph; J from (n), n the parameters' entries together, to c's shape.</returns>
    public abstract (Tensor Residual, LinearOperator Jacobian) Linearize(IReadOnlyList<Parameter> parameters);

    /// <summary>
    /// A constraint from tensor code: c is what <paramref name="residual"/> returns, J comes from differentiating it (Jᵀu a
    /// backward pass, J v two). It is called once a step, and may draw new data at each call; within a call it must be a
    /// function of the parameters alone (BatchNorm and dropout in evaluation mode).
    /// </summary>
    public static Constraint FromResidual(Func<Tensor> residual) => new ResidualConstraint(residual);

    /// <summary>
    /// Chosen weights vanish: c holds the entries of each parameter at which its mask (bool, of the parameter's shape) is
    /// true. J picks entries, JJᵀ = I, so that a solve is one iteration and records no graph. (With κ = 1 a step is that of
    /// magnitude pruning where the mask marks the smallest weights.)
    /// </summary>
    /// <exception cref="ArgumentException">A mask is not bool or has another shape than its parameter.</exception>
    public static Constraint Sparsity(IEnumerable<(Parameter Parameter, Tensor Mask)> masks) => new SparsityConstraint([.. masks]);
}

/// <summary>c by a closure, J by autograd.</summary>
internal sealed class ResidualConstraint(Func<Tensor> residual) : Constraint
{
    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        var recorded = new Linearization(residual, parameters, forwardProducts: true, createGraph: false);
        if (!recorded.Value.requires_grad && recorded.Value.numel() > 0)
            throw new ArgumentException("The constraint's residual does not depend on the parameters by operations that autograd knows.");
        return (recorded.Value.detach(), new ParameterJacobian(recorded, parameters));
    }

    private sealed class ParameterJacobian(Linearization recorded, IReadOnlyList<Parameter> parameters)
        : LinearOperator([parameters.Sum(p => p.numel())], recorded.Value.shape, recorded.Value.dtype, recorded.Value.device)
    {
        private readonly long[][] shapes = [.. parameters.Select(p => p.shape)];

        protected internal override Tensor MatVec(Tensor v)
        {
            using var scope = NewDisposeScope();
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

/// <summary>c = the masked entries; J v picks them from v, Jᵀu puts them back among zeros.</summary>
internal sealed class SparsityConstraint : Constraint
{
    private readonly (Parameter Parameter, Tensor Mask)[] masks;

    public SparsityConstraint((Parameter Parameter, Tensor Mask)[] masks)
    {
        foreach ((Parameter parameter, Tensor mask) in masks) {
            if (mask.dtype != ScalarType.Bool || !mask.shape.SequenceEqual(parameter.shape))
                throw new ArgumentException($"A mask must be bool and of its parameter's shape {Text.Shape(parameter.shape)}, but is {mask.dtype} of {Text.Shape(mask.shape)}.", nameof(masks));
        }
        this.masks = masks;
    }

    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        foreach ((Parameter masked, _) in masks) {
            if (!parameters.Any(p => p.Handle == masked.Handle))
                throw new ArgumentException($"A mask belongs to a parameter of shape {Text.Shape(masked.shape)} that is not among those that may move.");
        }
        // Where a parameter has no mask, nothing of it is picked.
        IEnumerable<Tensor> marks = parameters.Select(p =>
            masks.FirstOrDefault(pair => pair.Parameter.Handle == p.Handle).Mask ?? zeros(p.shape, ScalarType.Bool, p.device));
        Tensor picked = Vectors.Flatten(marks).nonzero().reshape(-1);
        Tensor theta = Vectors.Flatten(parameters.Select(p => p.detach()));
        return (theta.index_select(0, picked), new Selection(picked, theta));
    }

    private sealed class Selection(Tensor picked, Tensor like) : LinearOperator([like.numel()], [picked.numel()], like.dtype, like.device)
    {
        protected internal override Tensor MatVec(Tensor v) => v.index_select(0, picked);

        protected internal override Tensor VecMat(Tensor u)
        {
            using Tensor zero = zeros([.. InputShape], dtype, device);
            return zero.index_copy(0, picked, u);
        }
    }
}
