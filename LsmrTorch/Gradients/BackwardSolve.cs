using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// What the backward pass needs of an incoming gradient g, with r = b − A x, d = x − x0:
/// <code>
///   p = A (AᵀA + λ²I)⁻¹ g  (λ = 0: A⁺ᵀ g)     s = g − Aᵀp     w: (AᵀA + λ²I) w = g  (λ = 0: A⁺ p)     y = A⁺ᵀ d
///
///   ∂L/∂b = p      ∂L/∂x0 = s      ∂L/∂λ = −2 λ wᵀd
///   ∂L/∂A = r wᵀ − p xᵀ                        λ > 0, any shape and rank
///   ∂L/∂A = r wᵀ − p xᵀ + y sᵀ                 λ = 0, for changes of A that keep its rank
/// </code>
/// With λ > 0: differentiate Aᵀ(b − A x) = λ²(x − x0), and pair with g; s = λ²w then. With λ = 0 this is the derivative of the
/// pseudo-inverse (Golub and Pereyra 1973): the last term vanishes for full column rank (s = 0), the first for full row rank
/// (r = 0). As ∂L/∂θ = ∇θ [⟨r, A(θ) w⟩ − ⟨p, A(θ) x⟩ + ⟨y, A(θ) s⟩] with all else held fixed, A(θ)ᵀr, A(θ)x and
/// A(θ)ᵀy, recorded after the forward solve, get the cotangents w, −p and s.
/// </summary>
internal sealed class BackwardSolve(LinearOperator A, double damp, GradientOptions options)
{
    /// <summary>False where an unconverged solve of the forward pass was let through: the gradients are then NaN.</summary>
    public bool ForwardConverged { get; set; } = true;

    /// <summary>Whether a tensor that the operator uses requires a gradient.</summary>
    public bool NeedsOperator { get; init; }

    /// <summary>Whether A(θ)ᵀr was recorded, and so w is needed even where λ is a number.</summary>
    public bool NeedsW { get; set; }

    /// <summary>Whether A(θ)ᵀy was recorded.</summary>
    public bool HasY { get; set; }

    /// <summary>The operator that was solved with; the node saves the tensors that it holds and puts them in their place again.</summary>
    public LinearOperator Operator => A;

    public double Damp => damp;

    public GradientOptions Options => options;

    /// <summary>p, w (where it was solved for) and s.</summary>
    public readonly record struct Adjoint(Tensor P, Tensor? W, Tensor S);

    /// <summary>Solves for g with an operator that stands for A. The tensors belong to the current dispose scope.</summary>
    /// <exception cref="LsmrException">A solve did not converge, unless that is accepted; or the gradient to A is not available.</exception>
    public Adjoint Solve(LinearOperator current, Tensor g)
    {
        if (!ForwardConverged)
            throw new LsmrException("A solve of the forward pass did not converge.");
        if (damp > 0 || current.Rows >= current.Columns) {          // one run gives p and w together
            CraigmrResult run = Craigmr.Solve(current.T, g, new CraigmrOptions { Damp = damp, Tolerance = options.Tolerance, MaxIterations = options.MaxIterations });
            if (run.Stop != CraigmrStop.Inconsistent) {
                Accept(run.Converged, run);
                Tensor scaled = run.Multiplier.clone();
                Vectors.Scale(scaled, damp * damp);                 // s = lambda^2 w; exactly 0 for full column rank
                return new Adjoint(run.Solution, run.Multiplier, scaled);
            }
        }
        // lambda = 0 and g is not in the row space of A: CRAIGMR's w would mean nothing.
        Tensor p = Minimise(current.T, g);
        Tensor s = g.sub(current.VecMat(p));
        if (NeedsOperator && !HasY)
            throw new LsmrException("The undamped operator has deficient rank, so the gradient to its tensors needs more than was recorded: use a damping above zero, or detach the operator's tensors. Gradients to b and x0 alone are available.");
        return new Adjoint(p, NeedsW ? Minimise(current, p) : null, s);
    }

    /// <summary>y = A⁺ᵀ d, solved in the forward pass since A(θ)ᵀy must be recorded there; null where the gradients will be NaN.</summary>
    /// <exception cref="LsmrException">The solve did not converge, and that is to throw.</exception>
    public Tensor? MultiplierOfStart(Tensor d)
    {
        if (!ForwardConverged)
            return null;
        try {
            return Minimise(A.T, d);
        } catch (LsmrException) when (options.WhenUnconverged == Unconverged.NaN) {
            ForwardConverged = false;
            return null;
        }
    }

    private Tensor Minimise(LinearOperator B, Tensor c)
    {
        double? tolerance = options.Tolerance ?? (c.dtype == ScalarType.Float64 ? 1e-12 : null);
        LsmrResult run = PlainLsmr.Solve(B, c, null, 0, new LsmrOptions {
            Atol = tolerance,
            Btol = tolerance,
            ConditionLimit = double.PositiveInfinity,
            MaxIterations = options.MaxIterations,
        });
        Accept(run.Converged, run);
        return run.Solution;
    }

    private void Accept(bool converged, object run)
    {
        if (!converged && options.WhenUnconverged != Unconverged.Accept)
            throw new LsmrException($"A solve for the gradients did not converge: {run} (GradientOptions has its tolerance and iteration limit).");
    }
}
