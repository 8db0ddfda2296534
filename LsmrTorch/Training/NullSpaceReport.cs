namespace LsmrTorch;

/// <summary>What a step of <see cref="NullSpaceOptimizer"/> did.</summary>
public sealed record NullSpaceReport
{
    internal const double NoFreedomBelow = 1e-4;

    /// <summary>‖c‖/√k before the step: the root mean square of the k residuals. NaN for a step that was not <see cref="Projected"/>: c was not evaluated.</summary>
    public required double ConstraintNorm { get; init; }

    /// <summary>‖c + JΔ'‖/√k: what the linear model says of it after the step.</summary>
    public required double PredictedConstraintNorm { get; init; }

    /// <summary>‖c‖/√k after the step, where <see cref="NullSpaceOptimizer.MeasuresAfter"/> asks for it. A constraint that draws new data was evaluated on new data.</summary>
    public double? ConstraintNormAfter { get; init; }

    /// <summary>
    /// ‖Δ‖, the inner optimizer's step (<see cref="ProjectionOrder.Gradient"/>: that of plain gradient descent). NaN
    /// where it was not measured: for a step that was not <see cref="Projected"/>, or was skipped.
    /// </summary>
    public required double StepNorm { get; init; }

    /// <summary>‖Δ' − Δ‖, what the constraint changed.</summary>
    public required double CorrectionNorm { get; init; }

    /// <summary>The damping of the solve, relative to √k as <see cref="NullSpaceOptimizer.Damp"/>.</summary>
    public required double Damp { get; init; }

    /// <summary>
    /// Iterations of the solve, i. A step multiplies i + 2 times by J and i + 1 times by Jᵀ (more where J has as many rows as columns, see <see cref="FreeShare"/>,
    /// or <see cref="NullSpaceOptimizer.ConditionLimit"/> has the first step solve twice), beside one evaluation of c: of a constraint from tensor code i + 1 vector-Jacobian
    /// and i + 2 Jacobian-vector products.
    /// </summary>
    public required int Iterations { get; init; }

    /// <summary>Why the solve ended; <see cref="LsmrStop.LeastSquares"/> undamped says that JΔ' = −κc has no exact solution.</summary>
    public required LsmrStop Stop { get; init; }

    /// <summary>A lower bound of J's condition (damped: of [J; λI]).</summary>
    public required double ConditionEstimate { get; init; }

    /// <summary>
    /// With at least as many residuals as parameters: the share of Δ that the constraint leaves, ‖(I − J⁺J)Δ‖/‖Δ‖. Null
    /// otherwise, when some freedom is certain.
    /// </summary>
    public required double? FreeShare { get; init; }

    /// <summary>
    /// Whether the parameters moved; false where the solve met NaN, and where a gradient was not finite, or its square
    /// was not while squares are kept: of such a gradient neither the inner optimizer nor the metric has seen anything,
    /// and the next step goes on as if it had not been.
    /// </summary>
    public required bool Applied { get; init; }

    /// <summary>False in the warm-up, and between steps that <see cref="NullSpaceOptimizer.Every"/> projects: the step is the inner optimizer's own.</summary>
    public bool Projected { get; init; } = true;

    /// <summary>True where no freedom is left, whatever the step: the parameters follow the constraint alone.</summary>
    public bool NoFreedom { get; init; }

    /// <summary>A step with an empty residual: the inner optimizer's own.</summary>
    internal static NullSpaceReport Unconstrained { get; } = new() {
        ConstraintNorm = 0,
        PredictedConstraintNorm = 0,
        StepNorm = 0,
        CorrectionNorm = 0,
        Damp = 0,
        Iterations = 0,
        Stop = LsmrStop.StartIsSolution,
        ConditionEstimate = 1,
        FreeShare = null,
        Applied = true,
    };

    /// <summary>A step that was the inner optimizer's own; nothing was measured.</summary>
    internal static NullSpaceReport Unmeasured { get; } = Unconstrained with {
        Projected = false,
        ConstraintNorm = double.NaN,
        PredictedConstraintNorm = double.NaN,
        StepNorm = double.NaN,
    };

    /// <summary>A step that changed nothing, since a gradient or the inner optimizer's step was not finite.</summary>
    internal static NullSpaceReport Skipped { get; } = Unmeasured with {
        Projected = true,
        Applied = false,
        Stop = LsmrStop.NonFinite,
    };
}
