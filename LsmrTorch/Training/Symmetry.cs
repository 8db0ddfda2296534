using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

public abstract partial class Constraint
{
    /// <summary>
    /// A linear layer that commutes with representations of a group, whatever its weights are to be otherwise: c = ρ_out W − W ρ_in, for
    /// one element (a generator) of the group; <see cref="All(IEnumerable{Constraint})"/> joins several. W takes its first dimension as
    /// the layer's output and the others, flattened, as its input: of a convolution, the channels and the window.
    /// It is linear and exact, and for representations by permutations a solve takes few iterations.
    /// </summary>
    /// <param name="weight">W, of shape (out, …).</param>
    /// <param name="output">ρ_out, from (out) to (out).</param>
    /// <param name="input">ρ_in, from the shape of W's other dimensions to the same.</param>
    /// <exception cref="ArgumentException">Shapes that do not fit.</exception>
    public static Constraint EquivariantWeights(Parameter weight, LinearOperator output, LinearOperator input) =>
        Linear([(weight ?? throw new ArgumentNullException(nameof(weight)), new Commutator(weight, output, input))]);

    /// <summary>
    /// Parameters that permutations of their entries leave as they are: c = θ[π] − θ for each pair. The weights of layers that commute with
    /// representations by permutations are such (<see cref="EquivariantWeights"/> in general): π is what W ↦ ρ_out⁻¹ W ρ_in does to places, and a product
    /// one pass.
    /// </summary>
    /// <param name="pairs">
    /// A parameter, as often as the group has generators, and the place, in row-major order, from which each entry of θ[π] comes: int64, as many
    /// as θ has entries. Copies of them belong to the current dispose scope, as the constraint then does.
    /// </param>
    /// <exception cref="ArgumentException">None, or not permutations.</exception>
    public static Constraint Invariance(IEnumerable<(Parameter Parameter, Tensor Permutation)> pairs) => new InvarianceConstraint([.. pairs]);

    /// <summary>
    /// f(g x) = ρ f(x) on a batch: c = f(g x) − ρ(f(x)). It holds the function on these inputs alone, costs backward passes, and a constant
    /// function satisfies it.
    /// </summary>
    /// <param name="function">
    /// f, a function of the parameters: dropout in evaluation mode, and BatchNorm in evaluation mode or by the statistics of these inputs, its running ones left alone.
    /// Where those are still trained, take the second: by the running ones c falls with the size of the weights, which later statistics undo.
    /// </param>
    /// <param name="batch">Called once a step for x.</param>
    /// <param name="onInput">g.</param>
    /// <param name="onOutput">ρ; null where the output is to stay the same.</param>
    /// <param name="products">How J v is computed. By differences the batch, g and ρ are asked for at each product, and must be the same throughout a step.</param>
    public static Constraint Equivariance(
        Func<Tensor, Tensor> function, Func<Tensor> batch, Func<Tensor, Tensor> onInput, Func<Tensor, Tensor>? onOutput = null,
        JacobianProducts products = JacobianProducts.Derivatives) =>
        FromResidual(() => {
            Tensor x = batch(), value = function(x);
            return function(onInput(x)).sub(onOutput is null ? value : onOutput(value)).reshape(-1);
        }, products);

    /// <summary>
    /// A score (a vector field) is a gradient where its Jacobian S is symmetric: c = (S − Sᵀ)v at points x, each with its own probe v.
    /// </summary>
    /// <param name="score">Points of shape (batch, …) to vectors of the same shape, each from its own point alone (no BatchNorm in training mode).</param>
    /// <param name="points">Called once a step for x.</param>
    /// <param name="probes">The v for these points, of their shape; random signs or normal.</param>
    /// <param name="products">How J v is computed. By differences points and probes are asked for at each product, and must be the same throughout a step.</param>
    public static Constraint Conservativeness(
        Func<Tensor, Tensor> score, Func<Tensor> points, Func<Tensor, Tensor> probes, JacobianProducts products = JacobianProducts.Derivatives) =>
        FromResidual(() => {
            // S is a derivative even where nothing is to be differentiated in the parameters, as in a difference quotient.
            bool isRecorded = is_grad_enabled();
            using IDisposable enabled = enable_grad();
            Tensor x = points().detach().requires_grad_(), v = probes(x.detach());
            return Asymmetry(score(x), x, v, isRecorded);
        }, products);

    // Sv − Sᵀv, differentiable in the parameters: Sᵀv by a backward pass, Sv by one through Sᵀw, which is linear in w.
    internal static Tensor Asymmetry(Tensor score, Tensor x, Tensor v, bool isDifferentiable = true)
    {
        if (!score.shape.SequenceEqual(x.shape))
            throw new ArgumentException($"A score must return vectors of its points' shape {Text.Shape(x.shape)}, but returned {Text.Shape(score.shape)}.");
        Tensor w = zeros_like(v).requires_grad_();
        Tensor? transposed = Backprop.Gradients([score], [v], [x], retainGraph: true, createGraph: isDifferentiable)[0];
        Tensor? recorded = Backprop.Gradients([score], [w], [x], retainGraph: true, createGraph: true)[0];
        if (transposed is null || recorded is null)
            throw new ArgumentException("The score does not depend on its points by operations that autograd knows.");
        return Backprop.Gradients([recorded], [v], [w], retainGraph: true, createGraph: isDifferentiable)[0]!.sub(transposed).reshape(-1);
    }
}

/// <summary>W ↦ ρ_out W − W ρ_in.</summary>
internal sealed class Commutator : LinearOperator
{
    private readonly LinearOperator output, input;

    public Commutator(Tensor weight, LinearOperator output, LinearOperator input) : base(weight.shape, weight.shape, weight.dtype, weight.device)
    {
        if (weight.dim() == 0)
            throw new ArgumentException("A weight must have a dimension for the layer's output, but has none.",
                nameof(weight));
        foreach ((LinearOperator rho, long[] shape, string name) in new[] { (output, weight.shape[..1], nameof(output)), (input, weight.shape[1..], nameof(input)) }) {
            ArgumentNullException.ThrowIfNull(rho, name);
            if (!rho.InputShape.SequenceEqual(shape) || !rho.OutputShape.SequenceEqual(shape))
                throw new ArgumentException($"For a weight of shape {Text.Shape(weight.shape)} it must map {Text.Shape(shape)} to itself, but maps {Text.Shape(rho.InputShape)} to {Text.Shape(rho.OutputShape)}.", name);
        }
        (this.output, this.input) = (output, input);
    }

    protected internal override Tensor MatVec(Tensor W) => Of(W, output.MatVecs, input.VecMats);

    protected internal override Tensor VecMat(Tensor U) => Of(U, output.VecMats, input.MatVecs);

    // Columns of W are vectors of the output, its rows, as columns of the transpose, ones of the input.
    private Tensor Of(Tensor W, Func<Tensor, Tensor> onColumns, Func<Tensor, Tensor> onRows)
    {
        using var scope = NewDisposeScope();
        long rows = W.shape[0];
        Tensor left = onColumns(W.reshape(rows, -1)).reshape(W.shape);
        Tensor right = onRows(W.reshape(rows, -1).t().contiguous().reshape([.. input.InputShape, rows]));
        return scope.MoveToOuter(left.sub(right.reshape(-1, rows).t().reshape(W.shape)));
    }
}
