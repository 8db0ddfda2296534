using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The autograd node of a solution. Its inputs are b, x0, λ, the three recorded products, and the tensors that the operator holds.</summary>
/// <remarks>
/// What TorchSharp asks of a custom function, each found by breaking it: failures must not leave <c>backward</c> as exceptions
/// (see <see cref="BackwardPass"/>); the list given to <c>save_for_backward</c> must be emptied afterwards,
/// and the output itself never saved, or the node lives for ever; zero gradients must not be materialised.
/// </remarks>
internal sealed class SolutionFunction : autograd.SingleTensorFunction<SolutionFunction>
{
    private const int HeldFirst = 7;        // after the spare, b, x0, lambda, A x, A'r, A'y

    public override string Name => nameof(SolutionFunction);

    /// <summary>What travels with the node: the solve, which inputs need a gradient, and tensors that must stay rooted for a while.</summary>
    private sealed class State(BackwardSolve solve, bool[] needs)
    {
        public BackwardSolve Solve { get; } = solve;
        public bool[] Needs { get; } = needs;
        public Tensor? Solution { get; set; }
        public List<Tensor> Saved { get; } = [];
    }

    /// <summary>A new tensor with the entries of x whose gradient is that of the solution.</summary>
    public static Tensor Join(Tensor x, BackwardSolve solve, BackwardSolve.Forward forward, Tensor b, Tensor? x0, Tensor? damp, Tensor? Ax, Tensor? Atr, Tensor? Aty)
    {
        using Tensor spare = BackwardPass.Spare(x);
        // What an operator holds is an input of its own where a term for it may turn out only in the backward pass.
        bool mayTurnOut = solve.NeedsOperator && solve.Damp == 0 && solve.Operator.HoldsAll;
        Tensor[] held = [.. solve.Operator.Held];
        Tensor?[] inputs = [spare, b, x0, damp, Ax, Atr, Aty, .. held.Select(tensor => mayTurnOut && tensor.requires_grad ? tensor : null)];
        var state = new State(solve, [.. inputs.Select(input => input is { requires_grad: true })]) { Solution = x };
        state.Saved.AddRange([forward.X!, forward.D!, forward.R!, .. MapWitness.Tensors(forward.Witness), .. held]);
        try {
            return apply([.. inputs!, state]);
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
        return state.Solution!.detach();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor g)
    {
        var state = (State)ctx.get_data(nameof(State));
        return BackwardPass.Run(state.Needs.Length + 1, () => g.IsInvalid ? [] : Gradients(ctx, state, g)[1..]);
    }

    private static Tensor?[] Gradients(autograd.AutogradContext ctx, State state, Tensor g)
    {
        state.Solve.Reports.Last = null;        // what fails below has none
        if (is_grad_enabled())
            throw new NotSupportedException("Second derivatives (create_graph: true) through a least-squares solution need GradientOptions.Order = 2 or more.");
        BackwardSolve solve = state.Solve;
        List<Tensor> saved = BackwardPass.Saved(ctx);
        var forward = new BackwardSolve.Forward(saved[0], saved[1], saved[2],
            MapWitness.From(saved[3..(3 + MapWitness.Length)]));
        Tensor[] held = [.. saved.Skip(3 + MapWitness.Length)];
        LinearOperator A = solve.Operator.With(new Queue<Tensor>(held));

        BackwardSolve.Adjoint adjoint;
        try {
            adjoint = solve.Solve(A, g, forward);
        } catch (LsmrException failure) when (solve.WhenUnconverged == Unconverged.NaN) {
            Diagnostics.Fail($"Gradients through a least-squares solution are NaN: {failure.Message}");
            long[] columns = g.shape[A.InputShape.Count..];
            adjoint = new(NaN([.. A.OutputShape, .. columns]), NaN([.. A.InputShape, .. columns]), NaN([.. A.InputShape, .. columns]), null);
            Tensor NaN(long[] shape)
            {
                Tensor x = zeros(shape, g.dtype, g.device);
                Vectors.Fill(x, double.NaN);
                return x;
            }
        }
        (Tensor p, Tensor? w, Tensor s, Tensor? y) = adjoint;
        var gradients = new Tensor?[state.Needs.Length + 1];
        gradients[1] = p;                                                       // b
        gradients[2] = s;                                                       // x0
        gradients[3] = state.Needs[3] ? DampGradient(solve.Damp, w, forward.D!) : null;     // lambda
        gradients[4] = state.Needs[4] ? p.neg() : null;                         // A x
        gradients[5] = w;                                                       // A'r
        gradients[6] = state.Needs[6] ? s.alias() : null;                       // A'y
        if (y is not null)
            AddLastTerm(gradients, state, held, y, s);
        for (int i = 0; i < state.Needs.Length; i++) {
            if (!state.Needs[i])
                gradients[i] = null;
        }
        return gradients;
    }

    // -2 lambda <w, d>
    private static Tensor DampGradient(double damp, Tensor? w, Tensor d)
    {
        Tensor gradient = zeros(Array.Empty<long>(), d.dtype, d.device);
        Vectors.Fill(gradient, damp == 0 ? 0 : -2 * damp * Vectors.Dot(w!, d));
        return gradient;
    }

    // y s', carried to what the operator holds: A(held)'y recorded now, with the cotangent s.
    private static void AddLastTerm(Tensor?[] gradients, State state, Tensor[] held, Tensor y, Tensor s)
    {
        int[] asked = [.. Enumerable.Range(0, held.Length).Where(i => state.Needs[HeldFirst + i])];
        Tensor[] inputs = [.. held.Select((tensor, i) => asked.Contains(i) ? tensor.detach().requires_grad_() : tensor)];
        Tensor Aty;
        using (enable_grad())
            Aty = Augmented.TransposedProduct(state.Solve.Operator.With(new Queue<Tensor>(inputs)), y);
        Tensor?[] found = Backprop.Gradients([Aty], [s], [.. asked.Select(i => inputs[i])], false, false);
        for (int i = 0; i < asked.Length; i++)
            gradients[HeldFirst + asked[i]] = found[i];
    }
}
