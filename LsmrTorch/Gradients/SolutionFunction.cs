using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The autograd node of a solution. Its inputs are b, x0, λ and the three recorded products.</summary>
/// <remarks>
/// What TorchSharp asks of a custom function, each found by breaking it: an exception out of <c>backward</c> ends the
/// process, so failures leave as a gradient of a wrong shape for a spare input, which libtorch refuses with an
/// exception out of the user's <c>backward()</c>; the list given to <c>save_for_backward</c> must be emptied afterwards,
/// and the output itself never saved, or the node lives for ever; zero gradients must not be materialised.
/// </remarks>
internal sealed class SolutionFunction : autograd.SingleTensorFunction<SolutionFunction>
{
    public override string Name => nameof(SolutionFunction);

    /// <summary>What travels with the node: the solve, and tensors that must stay rooted for a while.</summary>
    private sealed class State(BackwardSolve solve)
    {
        public BackwardSolve Solve { get; } = solve;
        public Tensor? Solution { get; set; }
        public List<Tensor> Saved { get; } = [];
        public List<Tensor?>? Returned { get; set; } // native code copies the gradients after our method has returned
    }

    /// <summary>A new tensor with the entries of x whose gradient is that of the solution.</summary>
    public static Tensor Join(Tensor x, Tensor d, BackwardSolve solve, Tensor b, Tensor? x0, Tensor? damp, Tensor? Ax, Tensor? Atr, Tensor? Aty)
    {
        using Tensor spare = zeros(1, x.dtype, x.device, requires_grad: true);
        var state = new State(solve) { Solution = x };
        state.Saved.Add(damp is { requires_grad: true } ? d : null!);
        state.Saved.AddRange(solve.Operator.Held);
        try {
            return apply(spare, b, x0!, damp!, Ax!, Atr!, Aty!, state);
        } finally {
            state.Saved.Clear();
            state.Solution = null;
        }
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var state = (State)vars[^1];
        ctx.set_materialize_grads(false);
        ctx.save_for_backward(state.Saved);
        ctx.save_data(nameof(State), state);
        for (int i = 0; i < vars.Length - 1; i++)
            ctx.save_data(i.ToString(System.Globalization.CultureInfo.InvariantCulture), vars[i] is Tensor { requires_grad: true });
        return state.Solution!.detach();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor g)
    {
        var state = (State)ctx.get_data(nameof(State));
        try {
            using var scope = NewDisposeScope();
            List<Tensor?> gradients = g.IsInvalid ? [.. new Tensor?[8]] : Gradients(ctx, state.Solve, g);
            foreach (Tensor? gradient in gradients) {
                if (gradient is not null)
                    scope.MoveToOuter(gradient);
            }
            state.Returned = gradients;
        } catch (Exception failure) {
            Diagnostics.Warn($"A gradient through a least-squares solution failed: {failure.Message}");
            state.Returned = [zeros(Array.Empty<long>()), .. new Tensor?[7]]; // the spare input has shape (1)
        }
        return state.Returned!;
    }

    private static List<Tensor?> Gradients(autograd.AutogradContext ctx, BackwardSolve solve, Tensor g)
    {
        if (is_grad_enabled())
            throw new NotSupportedException("Second derivatives (create_graph: true) through a least-squares solution need GradientOptions.Order = 2 or more.");
        List<Tensor> saved = ctx.get_saved_variables(); // throws where a tensor was changed in place since
        LinearOperator A = solve.Operator.With(new Queue<Tensor>(saved.Skip(1)));
        bool Needs(int input) => (bool)ctx.get_data(input.ToString(System.Globalization.CultureInfo.InvariantCulture));

        BackwardSolve.Adjoint adjoint;
        try {
            adjoint = solve.Solve(A, g);
        } catch (LsmrException failure) when (solve.Options.WhenUnconverged == Unconverged.NaN) {
            Diagnostics.Warn($"Gradients through a least-squares solution are NaN: {failure.Message}");
            adjoint = new(Full(A.OutputShape), Full(A.InputShape), Full(A.InputShape));
            Tensor Full(IReadOnlyList<long> shape)
            {
                Tensor x = zeros([.. shape], g.dtype, g.device);
                Vectors.Fill(x, double.NaN);
                return x;
            }
        }
        (Tensor p, Tensor? w, Tensor s) = adjoint;
        return [
            null,
            Needs(1) ? p : null,                                            // b
            Needs(2) ? s : null,                                            // x0
            Needs(3) ? DampGradient(solve.Damp, w, saved[0]) : null,        // lambda
            Needs(4) ? p.neg() : null,                                      // A x
            Needs(5) ? w : null,                                            // A'r
            Needs(6) ? s.alias() : null,                                    // A'y
            null,
        ];
    }

    // -2 lambda <w, d>
    private static Tensor DampGradient(double damp, Tensor? w, Tensor d)
    {
        Tensor gradient = zeros(Array.Empty<long>(), d.dtype, d.device);
        Vectors.Fill(gradient, damp == 0 ? 0 : -2 * damp * Vectors.Dot(w!, d));
        return gradient;
    }
}
