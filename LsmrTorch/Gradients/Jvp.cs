using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

public static partial class Lsmr
{
    /// <summary>
    /// The change dx of a solution for given changes of what it depends on: the forward product with its Jacobian, without a graph.
    /// With r = b − A x, d = x − x0 and dA the change of A for those of its tensors,
    /// <code>
    ///   (AᵀA + λ²I) dx = Aᵀ(db − dA x) + dAᵀr − 2 λ dλ d + λ² dx0                     λ > 0: one CRAIGMR run
    ///   dx = q + A⁺(db − dA x − A q + A⁺ᵀdAᵀr),   q = dx0 + dAᵀA⁺ᵀd                   λ = 0, for changes of A that keep its rank
    /// </code>
    /// Undamped it takes one run where A is fixed, otherwise two, or three where A is wide or has dependent columns. A
    /// few products beside them check that the solution is one.
    /// </summary>
    /// <param name="A">The operator that was solved with.</param>
    /// <param name="b">Its right-hand side, a single one.</param>
    /// <param name="solution">What <see cref="Solve"/> found, with the same options.</param>
    /// <param name="tangents">
    /// Tensors and their changes: b, <see cref="LsmrOptions.Start"/>, <see cref="LsmrOptions.Damp"/> as a tensor, or any that A uses, also
    /// unknown to anything but a closure. They must require gradients; what is not listed, or not used, does not change.
    /// </param>
    /// <param name="options">Those of the solve; of them <see cref="LsmrOptions.Gradient"/> has the tolerance and limit of the runs here.</param>
    /// <exception cref="ArgumentException">A tensor does not require a gradient, a change has not its shape and dtype,
    /// the solution is none for the operator, b and options as they are now, or as for <see cref="Solve"/>.
    /// </exception>
    /// <exception cref="InvalidOperationException">Called inside <c>inference_mode()</c>.</exception>
    /// <exception cref="LsmrException">A run did not converge, unless <see cref="GradientOptions.WhenUnconverged"/> has another answer.</exception>
    public static Tensor Jvp(LinearOperator A, Tensor b, Tensor solution, IReadOnlyList<(Tensor Input, Tensor Tangent)> tangents, LsmrOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(A);
        ArgumentNullException.ThrowIfNull(tangents);
        options ??= new();
        options.Validate();
        Require.NoInferenceMode();
        Require.Vector(b, "b", A.OutputShape, "the operator returns", A);
        Require.Vector(solution, "solution", A.InputShape, "the operator takes", A);
        if (options.Start is { } start)
            Require.Vector(start, "x0", A.InputShape, "the operator takes", A);
        foreach ((Tensor input, Tensor tangent) in tangents)
            RequireTangent(input, tangent);
        double damp = Require.Damp(options.Damp.Value, "damp", A.dtype);
        A.RequireUnchanged();

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return scope.MoveToOuter(new SolutionTangent(A, b, solution.detach(), damp, tangents, options).Solve());
    }

    private static void RequireTangent(Tensor input, Tensor tangent)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(tangent);
        if (!input.requires_grad)
            throw new ArgumentException($"A tensor of shape {Text.Shape(input.shape)} has a tangent but does not require a gradient, so its influence cannot be seen.", nameof(input));
        if (!tangent.shape.SequenceEqual(input.shape) || tangent.dtype != input.dtype)
            throw new ArgumentException($"A tangent must be as its tensor, {Text.Shape(input.shape)} and {input.dtype}, but is {Text.Shape(tangent.shape)} and {tangent.dtype}.", nameof(tangent));
    }
}
