using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The autograd node of a product y = A(θ) x, or Aᵀ(θ) x, with row blocks. For the gradient g of y the blocks A_k get the cotangents g_k xᵀ
/// (x_k gᵀ); each is computed again with a graph, which is left as soon as θ has its share.
/// </summary>
/// <remarks>What TorchSharp asks of a custom function is said at <see cref="SolutionFunction"/>.</remarks>
internal sealed class RowBlockProduct : autograd.SingleTensorFunction<RowBlockProduct>
{
    public override string Name => nameof(RowBlockProduct);

    private sealed class State(RowBlockOperator A, bool transposed, bool[] needs)
    {
        public RowBlockOperator Operator { get; } = A;
        public bool Transposed { get; } = transposed;
        public bool[] Needs { get; } = needs;       // of the spare, x, and the parameters
        public Tensor? Value { get; set; }
        public List<Tensor> Saved { get; } = [];
    }

    /// <summary>A new tensor with the entries of the product whose gradient is that of the product.</summary>
    public static Tensor Join(Tensor product, RowBlockOperator A, IReadOnlyList<Tensor> parameters, Tensor x, bool transposed)
    {
        using Tensor spare = BackwardPass.Spare(product);
        Tensor[] inputs = [spare, x, .. parameters];
        var state = new State(A, transposed, [.. inputs.Select(input => input.requires_grad)]) { Value = product };
        state.Saved.AddRange(inputs.Skip(1));
        try {
            return apply([.. inputs, state]);
        } finally {
            state.Saved.Clear();
            state.Value = null;
        }
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var state = (State)vars[^1];
        ctx.set_materialize_grads(false);
        ctx.save_for_backward(state.Saved);
        ctx.save_data(nameof(State), state);
        return state.Value!.detach();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor g)
    {
        var state = (State)ctx.get_data(nameof(State));
        return BackwardPass.Run(state.Needs.Length + 1, () => g.IsInvalid ? [] : Gradients(ctx, state, g));
    }

    // Of x, and of the parameters.
    private static Tensor?[] Gradients(autograd.AutogradContext ctx, State state, Tensor g)
    {
        if (is_grad_enabled())
            throw new NotSupportedException("Second derivatives (create_graph: true) through an operator of row blocks are not supported; where the matrix fits, FromMatrix has them.");
        List<Tensor> saved = ctx.get_saved_variables();
        (bool needsX, bool[] asked) = (state.Needs[1], state.Needs[2..]);
        RowBlockOperator A = state.Operator;
        Tensor x = saved[0].detach();
        Tensor[] leaves = [.. saved.Skip(1).Select((parameter, i) => parameter.detach().requires_grad_(asked[i]))];
        Tensor?[] sums = [.. leaves.Select((leaf, i) => asked[i] ? Sum(leaf, A.dtype) : null)];
        Tensor? ofX = needsX ? zeros_like(x) : null;
        foreach ((long first, long count) in A.Blocks()) {
            using var scope = NewDisposeScope();
            Tensor block;
            using (enable_grad())
                block = A.Block(leaves, first, count);
            (Tensor left, Tensor right) = state.Transposed ? (x.narrow(0, first, count), g) : (g.narrow(0, first, count), x);
            if (block.requires_grad)
                AddShare(block, Outer(left, right), leaves, sums);
            using Tensor fixedBlock = block.detach();
            if (ofX is not null && state.Transposed)
                ofX.narrow(0, first, count).copy_(fixedBlock.matmul(g));
            else if (ofX is not null)
                Vectors.AddScaled(ofX, 1, fixedBlock.t().matmul(left));
        }
        return [ofX, .. sums.Select((sum, i) => sum?.to(leaves[i].dtype))];
    }

    // In the operator's dtype where the leaf has a lower one, whose digits would be lost over many blocks.
    private static Tensor Sum(Tensor leaf, ScalarType dtype) =>
        zeros(leaf.shape, leaf.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? dtype : leaf.dtype, leaf.device);

    private static void AddShare(Tensor block, Tensor cotangent, Tensor[] leaves, Tensor?[] sums)
    {
        int[] asked = [.. Enumerable.Range(0, leaves.Length).Where(i => sums[i] is not null)];
        Tensor?[] found = Backprop.Gradients([block], [cotangent], [.. asked.Select(i => leaves[i])], false, false);
        for (int i = 0; i < asked.Length; i++) {
            if (found[i] is { } share)
                Vectors.AddScaled(sums[asked[i]]!, 1, share);
        }
    }

    // Σ over columns of left rightᵀ.
    private static Tensor Outer(Tensor left, Tensor right) =>
        left.dim() == 1 ? left.outer(right) : left.matmul(right.t());
}
