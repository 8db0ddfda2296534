using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A condition c(θ) = 0 on parameters: its residual at the present parameters, and the Jacobian J = ∂c/∂θ there. The
/// parameters are taken as one vector, their entries row-major, one parameter after the other.
/// </summary>
/// <remarks>
/// Constraints with products known in closed form (<see cref="Sparsity"/>, <see cref="SmoothSparsity"/>, <see cref="Linear"/>,
/// <see cref="EquivariantWeights"/>, <see cref="Norm"/>) record no graph, and a product costs them about one pass over the parameters; the
/// others take backward passes.
/// </remarks>
public abstract partial class Constraint
{
    /// <summary>
    /// c and J at the present values. The tensors of both belong to the current dispose scope; J is used before any
    /// parameter changes.
    /// </summary>
    /// <param name="parameters">Those that may move, each requiring a gradient.</param>
    /// <returns>c, of any shape, without a graph; J from (n), n the parameters' entries together, to c's shape.</returns>
    public abstract (Tensor Residual, LinearOperator Jacobian) Linearize(IReadOnlyList<Parameter> parameters);

    /// <summary>c alone at the present values, without a graph; cheaper than <see cref="Linearize"/> where nothing needs to be recorded for it.</summary>
    /// <param name="parameters">As for <see cref="Linearize"/>.</param>
    public virtual Tensor Evaluate(IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Linearize(parameters).Residual);
    }

    /// <summary>c and Jᵀu for one u, which follows from c; cheaper than <see cref="Linearize"/> where nothing needs to be recorded for J v.</summary>
    internal virtual (Tensor Residual, Tensor Product) TransposeProduct(IReadOnlyList<Parameter> parameters, Func<Tensor, Tensor> cotangent)
    {
        using var scope = NewDisposeScope();
        (Tensor c, LinearOperator J) = Linearize(parameters);
        BlockJacobian.RequireDependence(J);
        return (scope.MoveToOuter(c), scope.MoveToOuter(J.VecMat(cotangent(c))));
    }

    /// <summary>
    /// Takes a step in closed form, where J allows it: the parameters hold θ + Δ and are given θ + Δ'. Null, and nothing done, where a solve is needed.
    /// Without damping it must be the step in every diagonal metric D too, as it is where J picks entries: D Jᵀ(J D Jᵀ)⁻¹ = Jᵀ. Called under <c>no_grad()</c>.
    /// </summary>
    /// <param name="parameters">As for <see cref="Linearize"/>.</param>
    /// <param name="before">θ of each.</param>
    /// <param name="rate">κ.</param>
    /// <param name="damp">Relative, as <see cref="NullSpaceOptimizer.Damp"/>.</param>
    internal virtual NullSpaceReport? StepDirectly(IReadOnlyList<Parameter> parameters, IReadOnlyList<Tensor> before, double rate, double damp) => null;

    /// <summary>
    /// A constraint from tensor code: c is what <paramref name="residual"/> returns, J comes from differentiating it (Jᵀu a
    /// backward pass, J v two, or one evaluation by <see cref="JacobianProducts.Differences"/>). By derivatives it is called once a step, and may
    /// draw new data at each call; within a call it must be a function of the parameters alone (BatchNorm and dropout
    /// in evaluation mode), which it must only read.
    /// </summary>
    /// <param name="residual">c at the present parameters, of any shape.</param>
    /// <param name="products">How J v is had; differences are cheaper and less exact.</param>
    public static Constraint FromResidual(Func<Tensor> residual, JacobianProducts products = JacobianProducts.Derivatives) => new ResidualConstraint(residual, products);

    /// <summary>
    /// Chosen weights vanish: c holds the entries of each parameter at which its mask (bool, of the parameter's shape) is
    /// true. J picks entries and JJᵀ = I, so that a projected step is known in closed form, which takes a few passes and one copy of the
    /// parameters; without damping that is the step in Adam's metric too. With projected gradients or beside other constraints a solve is one iteration; damped
    /// in a metric it takes more. (With κ = 1 a step is that of magnitude pruning where the
    /// mask marks the smallest weights, which <see cref="SparsityMask"/> chooses.)
    /// </summary>
    /// <exception cref="ArgumentException">A mask is not bool or has another shape than its parameter.</exception>
    public static Constraint Sparsity(IEnumerable<(Parameter Parameter, Tensor Mask)> masks) => new SparsityConstraint([.. masks]);

    /// <summary>
    /// A share of each layer's weights is to be near zero, whichever they are: one residual a layer,
    /// c = (1/n) Σ θ²/(θ² + ε²) − (1 − share), a smooth count of what is left. It fixes a number and says nothing of the size of the
    /// rest; weights near zero still have to be cut off at the end. Experimental.
    /// </summary>
    /// <param name="layers">The weights of each layer.</param>
    /// <param name="share">Of them to vanish, from 0 to 1.</param>
    /// <param name="scale">ε of each layer: weights well below count as none. Default 0.3 times the layer's root mean square now.</param>
    /// <exception cref="ArgumentException">The share or a scale is out of range, or there are more or fewer scales than layers.</exception>
    public static Constraint SmoothSparsity(IEnumerable<Parameter> layers, double share, IReadOnlyList<double>? scale = null) =>
        new SmoothSparsityConstraint([.. layers], share, scale);

    /// <summary>Σ Lᵢθᵢ = target, linear in the parameters: c = Σ Lᵢθᵢ − target.</summary>
    /// <param name="terms">Each parameter with its operator, which takes tensors of the parameter's shape; all return one shape.</param>
    /// <param name="target">Of that shape; zero if null.</param>
    /// <exception cref="ArgumentException">Shapes that do not fit; there is no term.</exception>
    public static Constraint Linear(IEnumerable<(Parameter Parameter, LinearOperator Operator)> terms, Tensor? target = null) =>
        new LinearConstraint([.. terms], target);

    /// <summary>The parameter's Euclidean norm is <paramref name="norm"/>: c = ‖θ‖ − norm, one residual.</summary>
    /// <exception cref="ArgumentException">The norm is negative.</exception>
    public static Constraint Norm(Parameter parameter, double norm) => new NormConstraint(parameter, norm);

    /// <summary>
    /// The root mean square of another constraint's residuals r as the only residual: c = ‖r‖/√k. J is one row, from one backward pass where r is tensor code, and
    /// nothing is left to solve: a step costs what one costs whose loss has the penalty ‖r‖²/k, and descends as that would, under the weight that takes c to (1 − κ)c.
    /// For residuals on data drawn anew in each step, more than the parameters can meet one by one.
    /// </summary>
    /// <param name="of">The constraint whose residuals they are.</param>
    /// <exception cref="ArgumentNullException">There is none.</exception>
    public static Constraint RootMeanSquare(Constraint of) => new RootMeanSquareConstraint(of);

    /// <summary>
    /// Several constraints at once: c = (w₁c₁, w₂c₂, …) in one vector, and J likewise. The step's projection weighs them only where damping
    /// or dependence keeps it from satisfying all.
    /// </summary>
    /// <param name="constraints">Each with its weight, over 0.</param>
    /// <exception cref="ArgumentException">There is none, or a weight is not over 0.</exception>
    public static Constraint All(IEnumerable<(Constraint Constraint, double Weight)> constraints) => new StackedConstraint([.. constraints]);

    /// <summary>The same, all of weight 1.</summary>
    public static Constraint All(params IEnumerable<Constraint> constraints) => All(constraints.Select(one => (one, 1.0)));
}
