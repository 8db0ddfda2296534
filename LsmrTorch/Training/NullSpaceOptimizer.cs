using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Training under c(θ) = 0 around any optimizer (the null-space method of Roy, Hauberg and Krämer 2025, written for steps).
/// Let Δ be what the inner optimizer did. The parameters move instead by
/// <code>Δ' = Δ − J⁺ (J Δ + κ c),    J and c at the parameters before the step,</code>
/// so that JΔ' = −κc: to first order the constraint shrinks by the factor 1 − κ a step, whatever the optimizer's learning
/// rate, groups or schedule, and Δ' is Δ otherwise, as little changed as can be. One least-squares solve a step.
/// </summary>
/// <remarks>
/// A small batch of noisy constraints projected at full strength (κ = 1, no damping) throws the parameters far for little,
/// and can collapse a network to one that satisfies any such constraint. A low rate, some damping, a warm-up without
/// constraint, and fewer residuals a step than the network has freedom are part of the method.
/// The parameters outside <c>parameters</c> move by the inner step alone. Not safe for several threads. Gradient clipping and
/// learning-rate schedulers work as ever: they come before the step, or belong to <see cref="Inner"/>.
/// A step with a gradient that is not finite is skipped: no parameter moves, and neither the inner optimizer nor the
/// metric sees the gradient. So is one whose square is not finite (in float32 a gradient over 1.8e19) where squares are
/// kept: in <see cref="ProjectionOrder.Metric"/>, and around an optimizer of TorchSharp that keeps them, as Adam does.
/// </remarks>
public sealed partial class NullSpaceOptimizer
{
    private readonly Parameter[] parameters;
    private Constraint constraint;
    private double jacobianNorm;        // of the last solve, a bound from below; 0 before the first

    /// <param name="inner">Any optimizer over the parameters, each of them once; learning-rate schedulers attach to
    /// it.</param>
    /// <param name="parameters">
    /// Those that the constraint reads and the correction may move, all float32 or all float64; frozen ones are left
    /// out of each step. One that is listed twice, as a parameter that modules share, is taken once.
    /// </param>
    /// <param name="constraint">c(θ) = 0.</param>
    /// <param name="rate">κ, over 0 and at most 1.</param>
    /// <param name="damp">The solve minimises ‖J z − (JΔ + κc)‖²/k + damp²‖z‖², k the number of residuals; 0 projects exactly.</param>
    /// <exception cref="ArgumentException">
    /// The rate or the damping is out of range; there is no parameter; parameters differ in dtype or device; two of the
    /// inner optimizer's or of these are one, or share memory.
    /// </exception>
    public NullSpaceOptimizer(optim.Optimizer inner, IEnumerable<Parameter> parameters, Constraint constraint, double rate = 0.1, double damp = 0)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(constraint);
        this.parameters = ParameterIdentity.Distinct(parameters, nameof(parameters));
        if (this.parameters.Length == 0)
            throw new ArgumentException("There must be at least one parameter.", nameof(parameters));
        Inner = inner;
        this.constraint = constraint;
        RequireAlike([.. this.parameters.Where(p => p.requires_grad)]);
        InnerParameters();
        Rate = rate;
        Damp = damp;
    }

    /// <summary>The same with a constraint from tensor code; see <see cref="Constraint.FromResidual"/>.</summary>
    public NullSpaceOptimizer(optim.Optimizer inner, IEnumerable<Parameter> parameters, Func<Tensor> constraint, double rate = 0.1, double damp = 0)
        : this(inner, parameters, Constraint.FromResidual(constraint), rate, damp)
    {
    }

    /// <summary>The wrapped optimizer.</summary>
    public optim.Optimizer Inner { get; }

    /// <summary>What the next step is held to; may be replaced between steps.</summary>
    public Constraint Constraint
    {
        get => constraint;
        set => constraint = value ?? throw new ArgumentNullException(nameof(value));
    }

    /// <summary>κ, the share of c that a step removes; over 0 and at most 1. <see cref="RateSchedule"/> goes before it.</summary>
    public double Rate
    {
        get;
        set => field = value is > 0 and <= 1 ? value : throw new ArgumentException($"The rate must be over 0 and at most 1, but is {Text.Exact(value)}.", nameof(value));
    }

    /// <summary>Damping relative to the root mean square of the residuals; not negative.</summary>
    public double Damp
    {
        get;
        set => field = Require.NonNegative(value, nameof(Damp));
    }

    /// <summary>κ from the number of the step (from 0), such as a <see cref="Ramp"/>; null for <see cref="Rate"/>.</summary>
    public Func<long, double>? RateSchedule { get; set; }

    /// <summary>What is projected. Default: the inner optimizer's step.</summary>
    public ProjectionOrder Order
    {
        get;
        set => field = Enum.IsDefined(value) ? value
            : throw new ArgumentException($"There is no order {value}.", nameof(value));
    }

    /// <summary>Steps at the beginning that are the inner optimizer's own. Default 0.</summary>
    public long WarmUp
    {
        get;
        set => field = value >= 0 ? value : throw new ArgumentException($"The warm-up must not be negative, but is {value}.", nameof(value));
    }

    /// <summary>After the warm-up every how many steps one is projected; the others are the inner optimizer's own. Default 1.</summary>
    public int Every
    {
        get;
        set => field = value > 0 ? value : throw new ArgumentException($"Every must be at least 1, but is {value}.", nameof(value));
    } = 1;

    /// <summary>
    /// Damps as much as keeps the condition of the damped J at this (over 1), by the solver's own estimate of ‖J‖: for a J near rank
    /// deficient. <see cref="Damp"/> is the least. Default null: no damping but that.
    /// </summary>
    public double? ConditionLimit
    {
        get;
        set => field = value is null or > 1 ? value : throw new ArgumentException($"ConditionLimit must be over 1, but is {Text.Exact(value)}.", nameof(value));
    }

    /// <summary>Relative tolerance of the solve. Default by dtype, as for <see cref="LsmrOptions.Atol"/>; 0.1 may be enough.</summary>
    /// <exception cref="ArgumentException">It is negative or not finite.</exception>
    public double? Tolerance
    {
        get;
        set => field = value is { } tolerance ? Require.NonNegative(tolerance, nameof(Tolerance)) : null;
    }

    /// <summary>Iterations of the solve at most; default as for <see cref="LsmrOptions.MaxIterations"/>. What was reached is used and reported.</summary>
    /// <exception cref="ArgumentException">It is negative.</exception>
    public int? MaxIterations
    {
        get;
        set => field = value is not < 0 ? value
            : throw new ArgumentException($"MaxIterations must not be negative, but is {value}.", nameof(value));
    }

    /// <summary>Whether ‖c‖ after the step is measured too, by evaluating the constraint once more. Default false.</summary>
    public bool MeasuresAfter { get; set; }

    /// <summary>How many steps have been done; set by a run that goes on from a state of its own.</summary>
    public long Steps
    {
        get;
        set => field = value >= 0 ? value : throw new ArgumentException($"The number of steps must not be negative, but is {value}.", nameof(value));
    }

    /// <summary>Clears the gradients, those of the inner optimizer's parameters.</summary>
    public void zero_grad() => Inner.zero_grad();

    /// <summary>
    /// One step from the gradients that <c>backward()</c> left. The constraint is evaluated once, at the parameters before
    /// the step. If the solve meets NaN, or a gradient is not finite, the parameters stay where they were and the
    /// report says so.
    /// </summary>
    /// <param name="closure">For an inner optimizer that asks for one (LBFGS): evaluates the loss and its gradients anew. Not with <see cref="ProjectionOrder.Gradient"/>.</param>
    /// <exception cref="ArgumentException">
    /// The residual is no function of the parameters, or changes one; no parameter requires a gradient, or one was
    /// disposed; a closure or <see cref="Smoothing"/> with projected gradients, or learning rates that do not tell how
    /// they move the parameters; a rate out of range.
    /// </exception>
    public NullSpaceReport step(Func<Tensor>? closure = null)
    {
        using var scope = NewDisposeScope();
        Parameter[] moving = Moving(), inner = InnerParameters();
        if (Inner is LBFGS && closure is null)
            throw new ArgumentException("LBFGS evaluates the loss several times a step: give it a closure that does.",
                nameof(closure));
        if (Order == ProjectionOrder.Gradient && closure is not null)
            throw new ArgumentException("A closure computes gradients anew, so that projected ones would be lost: use ProjectionOrder.Step.", nameof(closure));
        if (Order == ProjectionOrder.Gradient && Smoothing > 0)
            throw new ArgumentException($"Smoothing ({Text.Exact(Smoothing)}) is for a projected step: of projected gradients the inner optimizer's momentum is the mean.");
        if (Order == ProjectionOrder.Metric && closure is not null && !TakesGradientsAsTheyAre)
            throw new ArgumentException(
                $"The metric is that of the gradients before a step, but {Inner.GetType().Name} computes them "
                + "anew: use ProjectionOrder.Step.", nameof(closure));
        double rate = RateSchedule?.Invoke(Steps) ?? Rate;
        if (rate is not (> 0 and <= 1))
            throw new ArgumentException($"The rate must be over 0 and at most 1, but is {Text.Exact(rate)} at step {Steps}.");
        double[] learningRates = Order == ProjectionOrder.Gradient ? LearningRates(moving) : [];
        if (closure is not null && TakesGradientsAsTheyAre) {
            using (enable_grad())
                closure();
            closure = null;
        }

        bool isProjected = Steps >= WarmUp && (Steps - WarmUp) % Every == 0;
        Parameter[] given = inner.Length > 0 ? inner : parameters;      // whose gradients the inner optimizer reads
        NullSpaceReport report;
        using (new DenseGradients(given, comeBack: !isProjected || Order != ProjectionOrder.Gradient)) {
            if (closure is null && !GradientsFit(given)) {
                report = NullSpaceReport.Skipped with { Projected = isProjected };
            } else {
                if (Order == ProjectionOrder.Metric)
                    UpdateMetric(given);
                report = !isProjected ? InnerAlone(closure)
                    : Order == ProjectionOrder.Gradient ? ProjectGradient(moving, learningRates, rate)
                    : ProjectStep(moving, rate, closure);
            }
        }
        if (isProjected && MeasuresAfter) {
            Tensor c = constraint.Evaluate(moving);
            report = report with { ConstraintNormAfter = c.numel() == 0 ? 0 : Vectors.Norm(c) / Math.Sqrt(c.numel()) };
        }
        Steps++;
        return report;
    }

    private NullSpaceReport InnerAlone(Func<Tensor>? closure)
    {
        Inner.step(closure);
        return NullSpaceReport.Unmeasured;
    }
}
