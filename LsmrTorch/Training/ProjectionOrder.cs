namespace LsmrTorch;

/// <summary>What <see cref="NullSpaceOptimizer"/> projects; J and c at the parameters before the step.</summary>
public enum ProjectionOrder
{
    /// <summary>
    /// The inner optimizer's step: Δ' = Δ − J⁺(JΔ + κc). For any optimizer; one that scales entries, as Adam does, then rests where its scaled gradient,
    /// and not the gradient, is orthogonal to the constraint, which is no minimum under it: use <see cref="Metric"/> there.
    /// </summary>
    Step,

    /// <summary>
    /// The gradient, before the inner optimizer sees it: g ← −Δ'/η for the step Δ = −ηg of plain descent, each
    /// parameter by the learning rate η of its group as it is at this step; for one rate that is g − J⁺(J g − (κ/η) c).
    /// What has the rate 0, or is not one of the inner optimizer's, stays as it is, and the others satisfy the
    /// constraint. An optimizer with momentum or scaling then leaves the tangent space again, and κ means what it says
    /// for plain gradient descent alone.
    /// </summary>
    Gradient,

    /// <summary>
    /// The step, in the metric D = 1/(√v + ε) of an adaptive optimizer, v its running mean of squared gradients:
    /// Δ' = Δ − D Jᵀ(J D Jᵀ)⁻¹(JΔ + κc). What the constraint changes is then large where the optimizer's steps are.
    /// </summary>
    Metric,
}
