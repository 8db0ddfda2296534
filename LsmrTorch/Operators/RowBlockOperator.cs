using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Some rows of a matrix, from the tensors that it is made of: those with the numbers <paramref name="first"/> to
/// <paramref name="first"/> + <paramref name="count"/> − 1, of shape (count, columns).
/// </summary>
/// <param name="parameters">What the operator was given as such, or copies of it; nothing else that requires a gradient may be used.</param>
/// <param name="first">The number of the first row.</param>
/// <param name="count">How many rows.</param>
public delegate Tensor RowBlock(IReadOnlyList<Tensor> parameters, long first, long count);

/// <summary>A matrix that is never whole: its rows are computed anew, a block at a time, whenever a product needs them.</summary>
internal sealed class RowBlockOperator(RowBlock rows, IReadOnlyList<Tensor> parameters, long m, long n, long blockRows, ScalarType dtype, Device device)
    : LinearOperator([n], [m], dtype, device)
{
    protected internal override Tensor MatVec(Tensor v) => Product(v, transposed: false);

    protected internal override Tensor VecMat(Tensor u) => Product(u, transposed: true);

    protected internal override Tensor MatVecs(Tensor V) => Product(V, transposed: false);

    protected internal override Tensor VecMats(Tensor U) => Product(U, transposed: true);

    /// <summary>The first row and the number of rows of each block.</summary>
    public IEnumerable<(long First, long Count)> Blocks()
    {
        for (long first = 0; first < m; first += blockRows)
            yield return (first, Math.Min(blockRows, m - first));
    }

    /// <summary>A block of the matrix that these parameters make, checked, in the current dispose scope.</summary>
    /// <exception cref="ArgumentException">The closure returned another shape, dtype or device than before.</exception>
    public Tensor Block(IReadOnlyList<Tensor> from, long first, long count)
    {
        Tensor block = UserFunction.Call(list => rows(list, first, count), from, Closure);
        if (!Vectors.HasShape(block, [count, n]))
            throw new ArgumentException($"The closure returned rows of shape {Text.Shape(block.shape)} where ({count}, {n}) was asked for.");
        if (block.dtype != dtype || block.device_type != device.type)
            throw new ArgumentException($"The closure returned rows of {block.dtype} on {block.device} where the operator has {dtype} on {device}.");
        return block;
    }

    /// <summary>What the closure is called in messages.</summary>
    public const string Closure = "The closure of an operator of row blocks";

    internal override bool MayReturnBuffer => false;

    internal override void RequireUnchanged()
    {
        for (int i = 0; i < parameters.Count; i++)
            Require.Unchanged(parameters[i], $"Parameter {i}", kinds[i].Shape, kinds[i].Dtype, kinds[i].Device);
    }

    private readonly (long[] Shape, ScalarType Dtype, DeviceType Device)[] kinds =
        [.. parameters.Select(parameter => (parameter.shape, parameter.dtype, parameter.device_type))];

    private Tensor Product(Tensor x, bool transposed)
    {
        using var scope = NewDisposeScope();
        bool records = is_grad_enabled() && (x.requires_grad || MayRequireGrad);
        Tensor[] from = [.. parameters.Select(parameter => parameter.detach())];
        using Tensor fixedX = x.detach();
        Tensor product = Plain(from, fixedX, transposed);
        return scope.MoveToOuter(records ? RowBlockProduct.Join(product, this, parameters, x, transposed) : product);
    }

    /// <summary>A x, or Aᵀx, of the matrix that these parameters make; x, and the product, may have columns. No gradients flow.</summary>
    public Tensor Plain(IReadOnlyList<Tensor> from, Tensor x, bool transposed)
    {
        long[] columns = x.shape[1..];
        Tensor product = transposed ? zeros([n, .. columns], dtype, device) : empty([m, .. columns], dtype, device);
        foreach ((long first, long count) in Blocks()) {
            using var scope = NewDisposeScope();
            Tensor block = Block(from, first, count);
            RefuseUnlisted(block);
            using var guard = no_grad();
            if (transposed)
                Vectors.AddScaled(product, 1, block.t().matmul(x.narrow(0, first, count)));
            else
                product.narrow(0, first, count).copy_(block.matmul(x));
        }
        return product;
    }

    /// <summary>Rows of tensors without gradients that have one are made of something else, which the backward pass would not find.</summary>
    /// <exception cref="ArgumentException">So it is.</exception>
    public static void RefuseUnlisted(Tensor block)
    {
        if (block.requires_grad)
            throw new ArgumentException("The closure of an operator of row blocks uses a tensor that requires a gradient and is not among its parameters; name it there, and use it from there.");
    }

    internal override Fusion Fusion => device.type == DeviceType.CPU && n > 0 ? Fusion.Step : Fusion.None;

    // Each block is computed once for both products.
    internal override double FusedStep(Tensor v, Tensor u, double alpha, Tensor image)
    {
        Vectors.Clear(image);
        foreach ((long first, long count) in Blocks()) {
            using var scope = NewDisposeScope();
            Tensor block = Block(parameters, first, count), part = u.narrow(0, first, count);
            if (FusedDense.Fits(block, false)) {
                Tensor share = empty_like(image);
                _ = new FusedDense(block, false).Step(v, part, alpha, share);
                Vectors.AddScaled(image, 1, share);
            } else {
                Vectors.ScaleAdd(part, -alpha, block.mv(v));
                Vectors.AddScaled(image, 1, block.t().mv(part));
            }
        }
        return Vectors.Norm(u);
    }

    internal override EntryNorms? Norms()
    {
        Tensor rows = zeros(m, float64, device), columns = zeros(n, float64, device);
        foreach ((long first, long count) in Blocks()) {
            using var scope = NewDisposeScope();
            EntryNorms block = EntryNorms.Of(Block(parameters, first, count));
            rows.narrow(0, first, count).copy_(block.Rows);
            columns.copy_(columns.hypot(block.Columns));
        }
        return new(rows, columns);
    }

    internal override bool MayRequireGrad => parameters.Any(parameter => parameter.requires_grad);

    internal override bool HoldsAll => true;

    internal override IEnumerable<Tensor> Held => parameters;

    internal override LinearOperator With(Queue<Tensor> held) =>
        new RowBlockOperator(rows, [.. parameters.Select(_ => held.Dequeue())], m, n, blockRows, dtype, device);
}

public abstract partial class LinearOperator
{
    /// <summary>
    /// An m × n matrix whose rows are computed when a product needs them, <paramref name="blockRows"/> at a time: memory is that of one
    /// block, in the backward pass too, where each block is recorded, differentiated and dropped. Maps (n) to (m). Gradients reach
    /// the parameters, once (second derivatives are refused). A step of a solve computes each block once.
    /// </summary>
    /// <param name="rows">Deterministic, by operations that autograd knows; what it captures must keep its value to the
    /// last backward pass. Called once here, for the first row, which tells n, dtype and device.</param>
    /// <param name="parameters">Every tensor that the rows depend on and that may require a gradient; the closure gets them, and uses them from there.</param>
    /// <param name="rowCount">m.</param>
    /// <param name="blockRows">Rows of a block, at least 1; the last one may have fewer.</param>
    /// <exception cref="ArgumentException">The row is no (1, n) of float32 or float64, or requires a gradient that is not the parameters'; a number is out of range.</exception>
    public static LinearOperator FromRowBlocks(RowBlock rows, IReadOnlyList<Tensor> parameters, long rowCount, long blockRows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(parameters);
        if (rowCount < 1)
            throw new ArgumentException($"An operator of row blocks needs at least 1 row, but has {rowCount}.", nameof(rowCount));
        if (blockRows < 1)
            throw new ArgumentException($"A block needs at least 1 row, but has {blockRows}.", nameof(blockRows));
        foreach (Tensor parameter in parameters) {
            if (parameter is null)
                throw new ArgumentException("A parameter of row blocks must not be null.", nameof(parameters));
            Require.Memory(parameter.device, "A parameter");
        }
        using var scope = NewDisposeScope();
        IReadOnlyList<Tensor> from = [.. parameters.Select(parameter => parameter.detach())];
        Tensor row = UserFunction.Call(list => rows(list, 0, 1), from, RowBlockOperator.Closure);
        if (row.dim() != 2 || row.shape[0] != 1)
            throw new ArgumentException($"The closure returned the first row in shape {Text.Shape(row.shape)} where (1, n) was asked for.", nameof(rows));
        RowBlockOperator.RefuseUnlisted(row);
        return new RowBlockOperator(rows, [.. parameters], rowCount, row.shape[1], blockRows, Require.RealFloat(row.dtype, "an operator"), row.device);
    }
}
