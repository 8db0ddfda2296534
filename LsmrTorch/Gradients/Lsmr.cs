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
    /// Solves for x of A's InputShape; b has A's OutputShape. b may have one more dimension, for several right-hand sides: then x (and
    /// x0) has it too, and each column is solved, stopped and differentiated as if alone. Without damping and with several minimisers, x is
    /// the one nearest to x0 (or zero). Mathematics is reported in the result, never thrown, except that a solve that is to be
    /// trained through must converge (<see cref="GradientOptions.WhenUnconverged"/>).
    /// </summary>
    /// <remarks>
    /// Unless under <c>no_grad()</c>, the solution carries gradients to b, to <see cref="LsmrOptions.Damp"/> given as a tensor,
    /// to <see cref="LsmrOptions.Start"/>, and to every tensor that A uses; <see cref="LsmrResult.GradientReport"/> says what they cost and
    /// how exact they are. For an undamped A of deficient rank the derivative is that for changes which keep the rank. Memory while
    /// solving, beside x: four vectors like x and two like b.
    /// <para>If the loss is the objective itself, use <c>Solution.detach()</c> in it: its gradient through x is zero, as
    /// Aᵀr = λ²(x − x0), and the backward solve is saved.</para>
    /// <para><c>torch.autograd.grad</c> ends the process on any error in a backward pass; use <see cref="Gradient.Of"/>.</para>
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
        Require.Vectors(b, "b", A.OutputShape, "the operator returns", A);
        long[] columns = b.shape[A.OutputShape.Count..];
        if (options.Start is { } start) {
            (string whose, string alsoTaken) = columns.Length == 0
                ? ("the operator takes", $", or {Text.Shape(A.InputShape, "k")} for b with k columns")
                : ("the operator takes, with b's columns,", "");
            Require.Vector(start, "x0", [.. A.InputShape, .. columns], whose, A, alsoTaken);
        }
        double damp = Require.Damp(options.Damp.Value, "damp", A.dtype);
        A.RequireUnchanged();
        options.Preconditioner?.RequireUnchanged();
        RequireUse(A, damp, options);

        using var scope = NewDisposeScope();
        LsmrResult plain = ForwardSolve.Solve(A, b.detach(), options.Start?.detach(), damp, options);
        LsmrResult result = !is_grad_enabled() ? plain
            : options.Gradient.Order > 1 ? plain with { Solution = HigherOrder.Attach(plain, A, b, damp, options) }
            : SolutionGraph.Attach(plain, A, b, damp, options);
        return result with { Solution = scope.MoveToOuter(result.Solution) };
    }

    private const double MostDampOfOrder = 1e20;

    private static void RequireUse(LinearOperator A, double damp, LsmrOptions options)
    {
        bool isWide = damp == 0 && A.Rows < A.Columns;
        if (options.WarmStart is not null && isWide)
            throw new ArgumentException($"An undamped operator with more columns ({A.Columns}) than rows ({A.Rows}) has many solutions, and a warm start would decide which is found; use damping.", nameof(options));
        if (options.Preconditioner is { } P) {
            if (isWide)
                throw new ArgumentException($"An undamped operator with more columns ({A.Columns}) than rows ({A.Rows}) has many solutions, and a preconditioner would decide which is found; use damping.", nameof(options));
            if (!P.OutputShape.SequenceEqual(A.InputShape) || P.Rows != P.Columns)
                throw new ArgumentException($"A preconditioner must map onto what the operator takes, {Text.Shape(A.InputShape)}, one to one, but is {P}.", nameof(options));
            if (P.dtype != A.dtype || P.device.ToString() != A.device.ToString())
                throw new ArgumentException($"A preconditioner must have the operator's dtype and device, {A.dtype} on {A.device}, but is {P}.", nameof(options));
        }
        if (options.Gradient.Order > 1 && A.dtype == ScalarType.Float32 && damp > MostDampOfOrder)
            throw new ArgumentException($"With GradientOptions.Order over 1, a float32 damp must be at most {Text.Exact(MostDampOfOrder)}, "
                + $"since vectors of the size 1 / damp² lose their digits, but it is {Text.Exact(damp)}; use float64.", "damp");
        if (options.Gradient.ErrorTarget is not null && damp == 0)
            throw new ArgumentException("GradientOptions.ErrorTarget needs a damping above zero: without it, errors can only be estimated.", nameof(options));
    }
}
