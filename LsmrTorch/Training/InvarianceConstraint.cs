using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>c = θ[π] − θ for each pair of a parameter and a permutation of its entries; J gathers and subtracts.</summary>
internal sealed class InvarianceConstraint : Constraint
{
    private readonly (Parameter Parameter, Difference Difference)[] pairs;

    public InvarianceConstraint((Parameter Parameter, Tensor Permutation)[] pairs)
    {
        if (pairs.Length == 0)
            throw new ArgumentException("There must be at least one permutation.", nameof(pairs));
        this.pairs = [.. pairs.Select(pair => (pair.Parameter,
            new Difference(Alive(pair.Parameter), pair.Permutation)))];

        static Parameter Alive(Parameter parameter)
        {
            ParameterIdentity.RequireAlive(parameter, nameof(pairs));
            return parameter;
        }
    }

    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        var blocks = pairs.Select(pair => (Place: BlockJacobian.Place(parameters, pair.Parameter), pair.Difference))
            .Select(at => at.Place < 0 ? Array.Empty<(int, LinearOperator)>() : [(at.Place, at.Difference)]);
        return (Evaluate(parameters), new BlockJacobian(parameters, [.. blocks], [.. pairs.Select(pair => pair.Difference.Rows)]));
    }

    public override Tensor Evaluate(IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return scope.MoveToOuter(cat([.. pairs.Select(pair => pair.Difference.MatVec(pair.Parameter.detach()))]));
    }

    // v ↦ v[π] − v, of any shape to a vector; uᵀ ↦ u[π⁻¹] − u.
    private sealed class Difference : LinearOperator
    {
        private readonly Tensor places, inverse;

        public Difference(Parameter parameter, Tensor places) : base(parameter.shape, [parameter.numel()], parameter.dtype, parameter.device)
        {
            ArgumentNullException.ThrowIfNull(places);
            using var scope = NewDisposeScope();
            Tensor all = places.reshape(-1);
            if (places.dtype != ScalarType.Int64 || all.numel() != parameter.numel())
                throw new ArgumentException($"A permutation of {parameter.numel()} entries must be as many int64 places, but is {places.dtype} of {Text.Shape(places.shape)}.", nameof(places));
            (Tensor sorted, Tensor order) = all.sort();
            using Scalar count = all.numel();
            if (sorted.ne(arange(count, int64, all.device)).any().item<bool>())
                throw new ArgumentException("A permutation must have each place once.", nameof(places));
            this.places = scope.MoveToOuter(all.to(parameter.device, copy: true));
            inverse = scope.MoveToOuter(order.to(parameter.device, copy: true));
        }

        protected internal override Tensor MatVec(Tensor v)
        {
            using Tensor flat = v.reshape(-1);
            using Tensor moved = flat.index_select(0, places);
            return moved.sub(flat);
        }

        protected internal override Tensor VecMat(Tensor u)
        {
            using Tensor moved = u.index_select(0, inverse);
            using Tensor difference = moved.sub(u);
            return difference.reshape([.. InputShape]);
        }
    }
}
