namespace LsmrTorch;

/// <summary>How a constraint from tensor code multiplies by its Jacobian. Jᵀu is a backward pass either way.</summary>
public enum JacobianProducts
{
    /// <summary>J v by two backward passes, exact up to rounding. The residual is evaluated once a step.</summary>
    Derivatives,

    /// <summary>
    /// J v by a difference quotient, (c(θ + hv) − c(θ))/h with h a third of √ε (1 + ‖θ‖)/‖v‖ (Knoll and Keyes 2004, section 2.3): one evaluation of the
    /// residual, about a fifth of the time of two backward passes, and no second graph to keep. Its relative error is about 1 % in float32 with ReLU,
    /// far less for smooth functions, so that tolerances of the solve under 0.03 have no meaning. The residual must return the same function at
    /// each call within a step: draw data outside it. (What it draws from the default generator of the CPU, each call
    /// of a step draws again.) The parameters are moved during a product and put back to the bit.
    /// </summary>
    Differences,
}
