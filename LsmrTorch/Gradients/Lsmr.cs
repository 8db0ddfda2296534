using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Least squares from products alone, as a layer: minimises ‖A x − b‖² + λ²‖x − x0‖² by LSMR (Fong and Saunders 2011);
/// gradients flow through the solution by a second Krylov solve (Roy, Hauberg and Krämer 2025), so that their memory does
/// not grow with the iterations.
/// </summary>
public static partial class Lsmr
{
    /// <summary>
    /// Solves for x of A's InputShape; b has A's OutputShape. Without damping and with several minimisers, x is the one
    /// nearest to x0 (or zero). Mathematics is reported in the result, never thrown, except that a solve that is to be
    /// trained through must converge (<see cref="GradientOptions.WhenUnconverged"/>).
    /// </summary>
    /// <remarks>
    /// Unless under <c>no_grad()</c>, the solution carries gradients to b, to <see cref="LsmrOptions.Damp"/> given as a tensor,
    /// to <see cref="LsmrOptions.Start"/>, and to every tensor that A uses. Memory while solving, beside x: four vectors like x and two
    /// like b. Gradients to an undamped A that has at least as many rows as columns and dependent columns are an
    /// error of the backward pass; those to b and x0 are right, and with damping all are. For an undamped A of deficient rank the
    /// derivative is that for changes which keep the rank.
    /// </remarks>
    /// <exception cref="ArgumentException">b or x0 has another shape, dtype or device than A; an option is out of range.</exception>
    /// <exception cref="InvalidOperationException">Called inside <c>inference_mode()</c>.</exception>
    /// <exception cref="LsmrException">The solve did not converge and gradients were to flow through it.</exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public static LsmrResult Solve(LinearOperator A, Tensor b, LsmrOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(A);
        options ??= new();
        options.Validate();
        Require.NoInferenceMode();
        Require.Vector(b, "b", A.OutputShape, "the operator returns", A);
        if (options.Start is { } start)
            Require.Vector(start, "x0", A.InputShape, "the operator takes", A);
        double damp = Require.NonNegative(options.Damp.Value, "damp");

        using var scope = NewDisposeScope();
        LsmrResult plain = PlainLsmr.Solve(A, b.detach(), options.Start?.detach(), damp, options);
        Tensor solution = !is_grad_enabled() ? plain.Solution
            : options.Gradient.Order > 1 ? HigherOrder.Attach(plain, A, b, damp, options)
            : SolutionGraph.Attach(plain, A, b, damp, options);
        return plain with { Solution = scope.MoveToOuter(solution) };
    }
}
