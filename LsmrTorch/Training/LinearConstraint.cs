using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>c = Σ Lᵢθᵢ − target; J is made of the Lᵢ.</summary>
internal sealed class LinearConstraint : Constraint
{
    private readonly (Parameter Parameter, LinearOperator Operator)[] terms;
    private readonly Tensor? target;

    public LinearConstraint((Parameter Parameter, LinearOperator Operator)[] terms, Tensor? target)
    {
        if (terms.Length == 0)
            throw new ArgumentException("A linear constraint needs at least one term.", nameof(terms));
        foreach ((Parameter parameter, LinearOperator L) in terms) {
            ParameterIdentity.RequireAlive(parameter, nameof(terms));
            ArgumentNullException.ThrowIfNull(L, nameof(terms));
            if (L.dtype != parameter.dtype)
                throw new ArgumentException(
                    $"The operator of a {parameter.dtype} parameter must be of its dtype, but is {L.dtype}.",
                    nameof(terms));
        }
        IReadOnlyList<long> shape = terms[0].Operator.OutputShape;
        foreach ((Parameter parameter, LinearOperator L) in terms) {
            if (!L.InputShape.SequenceEqual(parameter.shape))
                throw new ArgumentException($"The operator of a parameter of shape {Text.Shape(parameter.shape)} must take that shape, but takes {Text.Shape(L.InputShape)}.", nameof(terms));
            if (!L.OutputShape.SequenceEqual(shape))
                throw new ArgumentException($"All operators must return one shape, but there are {Text.Shape(shape)} and {Text.Shape(L.OutputShape)}.", nameof(terms));
        }
        if (target is not null && !target.shape.SequenceEqual(shape))
            throw new ArgumentException($"The target must be of the operators' shape {Text.Shape(shape)}, but is {Text.Shape(target.shape)}.", nameof(target));
        (this.terms, this.target) = (terms, target);
    }

    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        Tensor c = Evaluate(parameters);
        var moving = terms.Select(term => (BlockJacobian.Place(parameters, term.Parameter), term.Operator)).Where(term => term.Item1 >= 0);
        return (c, new BlockJacobian(parameters, [[.. moving]], [c.numel()]));
    }

    public override Tensor Evaluate(IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor c = zeros([.. terms[0].Operator.OutputShape], terms[0].Operator.dtype, terms[0].Operator.device);
        foreach ((Parameter parameter, LinearOperator L) in terms)
            Vectors.AddScaled(c, 1, L.MatVec(parameter.detach()));
        if (target is not null)
            Vectors.AddScaled(c, -1, target);
        return scope.MoveToOuter(c.reshape(-1));
    }
}
