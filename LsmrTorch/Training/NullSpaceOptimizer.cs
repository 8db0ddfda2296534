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
/// The parameters outside <c>parameters</c> move by the inner step alone. Not safe for several threads.
/// </remarks>
public sealed class NullSpaceOptimizer
{
    private readonly Parameter[] parameters;
    private Constraint constraint;

    /// <param name="inner">Any optimizer over the parameters; learning-rate schedulers attach to it.</param>
    /// <param name="parameters">Those that the constraint reads and the correction may move; frozen ones are left out of each step.</param>
    /// <param name="constraint">c(θ) = 0.</param>
    /// <param name="rate">κ, over 0 and at most 1.</param>
    /// <param name="damp">The solve minimises ‖J z − (JΔ + κc)‖²/k + damp²‖z‖², k the number of residuals; 0 projects exactly.</param>
    /// <exception cref="ArgumentException">The rate or the damping is out of range; there is no parameter.</exception>
    public NullSpaceOptimizer(optim.Optimizer inner, IEnumerable<Parameter> parameters, Constraint constraint, double rate = 0.1, double damp = 0)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(constraint);
        this.parameters = [.. parameters];
        if (this.parameters.Length == 0)
            throw new ArgumentException("There must be at least one parameter.", nameof(parameters));
        Inner = inner;
        this.constraint = constraint;
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

    /// <summary>κ, the share of c that a step removes; over 0 and at most 1.</summary>
    public double Rate
    {
        get;
        set => field = value is > 0 and <= 1 ? value : throw new ArgumentException($"The rate must be over 0 and at most 1, but is {value}.", nameof(value));
    }

    /// <summary>Damping relative to the root mean square of the residuals; not negative.</summary>
    public double Damp
    {
        get;
        set => field = Require.NonNegative(value, nameof(Damp));
    }

    /// <summary>Relative tolerance of the solve. Default by dtype, as for <see cref="LsmrOptions.Atol"/>.</summary>
    public double? Tolerance { get; set; }

    /// <summary>Iterations of the solve at most; default as for <see cref="LsmrOptions.MaxIterations"/>. What was reached is used and reported.</summary>
    public int? MaxIterations { get; set; }

    /// <summary>Clears the gradients, those of the inner optimizer's parameters.</summary>
    public void zero_grad() => Inner.zero_grad();

    /// <summary>
    /// One step from the gradients that <c>backward()</c> left. The constraint is evaluated once, at the parameters before
    /// the step. If the solve meets NaN, the parameters stay where they were and the report says so.
    /// </summary>
    /// <param name="closure">For an inner optimizer that asks for one (LBFGS): evaluates the loss and its gradients anew.</param>
    /// <exception cref="ArgumentException">The residual is no function of the parameters; no parameter requires a gradient.</exception>
    public NullSpaceReport step(Func<Tensor>? closure = null)
    {
        using var scope = NewDisposeScope();
        Parameter[] moving = [.. parameters.Where(p => p.requires_grad)];
        if (moving.Length == 0)
            throw new ArgumentException("No parameter requires a gradient, so none can move.");

        Tensor delta = InnerStep(moving, closure);
        using var guard = no_grad();
        (Tensor c, LinearOperator J) = constraint.Linearize(moving);
        if (c.numel() == 0) {
            Move(moving, delta);
            return NullSpaceReport.Unconstrained;
        }
        double scale = Math.Sqrt(c.numel());
        Tensor target = J.MatVec(delta);    // J delta + kappa c
        Vectors.AddScaled(target, Rate, c);
        var options = new LsmrOptions { Atol = Tolerance, Btol = Tolerance, MaxIterations = MaxIterations };
        LsmrResult solve = PlainLsmr.Solve(J, target, null, Damp * scale, options);
        double? freeShare = J.Rows >= J.Columns ? FreeShare(J, c, delta, solve, options) : null;
        double constraintNorm = Vectors.Norm(c) / scale, stepNorm = Vectors.Norm(delta), correction = Vectors.Norm(solve.Solution);
        // c + J Delta' = (1 - kappa) c + (target - J z)
        Vectors.AddScaled(target, -1, J.MatVec(solve.Solution));
        Vectors.AddScaled(target, 1 - Rate, c);
        double predicted = Vectors.Norm(target) / scale;
        bool applied = solve.Stop != LsmrStop.NonFinite;
        if (applied) {
            Vectors.AddScaled(delta, -1, solve.Solution);
            Move(moving, delta);
        }
        return new NullSpaceReport {
            ConstraintNorm = constraintNorm,
            PredictedConstraintNorm = predicted,
            StepNorm = stepNorm,
            CorrectionNorm = correction,
            Iterations = solve.Iterations,
            Stop = solve.Stop,
            ConditionEstimate = solve.ConditionEstimate,
            FreeShare = freeShare,
            Applied = applied,
        };
    }

    // What the inner optimizer does to the parameters, which are then put back: in place, and before anything is recorded,
    // since a graph recorded earlier would be invalid.
    private Tensor InnerStep(Parameter[] moving, Func<Tensor>? closure)
    {
        using var scope = NewDisposeScope();
        Tensor[] before = [.. moving.Select(p => Vectors.Copy(p.detach()))];
        try {
            Inner.step(closure);
            using var guard = no_grad();
            return scope.MoveToOuter(Vectors.Flatten(moving.Zip(before, (after, old) => after.sub(old))));
        } finally {
            Restore(moving, before);
        }
    }

    // With as many residuals as parameters or more, J may leave nothing free: compare Delta - J⁺J Delta with Delta.
    private double FreeShare(LinearOperator J, Tensor c, Tensor delta, LsmrResult solve, LsmrOptions options)
    {
        LsmrResult restoring = PlainLsmr.Solve(J, c, null, Damp * Math.Sqrt(c.numel()), options);   // J⁺ c
        Tensor free = delta.sub(solve.Solution);
        Vectors.AddScaled(free, Rate, restoring.Solution);
        double size = Vectors.Norm(delta);
        double share = size == 0 ? 0 : Vectors.Norm(free) / size;
        if (share < NullSpaceReport.NoFreedomBelow)
            Diagnostics.Warn(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{J.Rows} constraints on {J.Columns} parameters leave the step no freedom: the loss no longer moves them. Use fewer residuals a step, or damping."));
        return share;
    }

    private static void Restore(Parameter[] parameters, Tensor[] values)
    {
        using var guard = no_grad();
        foreach ((Parameter parameter, Tensor value) in parameters.Zip(values))
            parameter.copy_(value);
    }

    private static void Move(Parameter[] parameters, Tensor step)
    {
        foreach ((Parameter parameter, Tensor part) in parameters.Zip(Vectors.Split(step, [.. parameters.Select(p => p.shape)])))
            Vectors.AddScaled(parameter, 1, part);
    }
}
