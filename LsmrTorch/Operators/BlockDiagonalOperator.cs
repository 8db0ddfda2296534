using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>diag(A, B, …): each part takes its piece of the vector and makes its piece of the product.</summary>
internal sealed class BlockDiagonalOperator(LinearOperator[] parts)
    : ComposedOperator(Alike(parts), [parts.Sum(part => part.Columns)], [parts.Sum(part => part.Rows)])
{
    protected override LinearOperator Of(LinearOperator[] parts) => new BlockDiagonalOperator(parts);

    protected internal override Tensor MatVec(Tensor v) =>
        PieceByPiece(v, part => part.InputShape, part => part.OutputShape, (part, piece) => part.MatVec(piece));

    protected internal override Tensor VecMat(Tensor u) =>
        PieceByPiece(u, part => part.OutputShape, part => part.InputShape, (part, piece) => part.VecMat(piece));

    protected internal override Tensor MatVecs(Tensor V) => BlockByBlock(V, part => part.InputShape, (part, block) => part.MatVecs(block));

    protected internal override Tensor VecMats(Tensor U) => BlockByBlock(U, part => part.OutputShape, (part, block) => part.VecMats(block));

    internal override EntryNorms? Norms()
    {
        EntryNorms?[] norms = [.. Parts.Select(part => part.Norms())];
        return norms.Contains(null) ? null
            : new(Vectors.Flatten(norms.Select(part => part!.Value.Rows)), Vectors.Flatten(norms.Select(part => part!.Value.Columns)));
    }

    internal override Tensor? ColumnNorms()
    {
        Tensor?[] norms = [.. Parts.Select(part => part.ColumnNorms())];
        return norms.Contains(null) ? null : Vectors.Flatten(norms!);
    }

    private Tensor PieceByPiece(Tensor vector, Func<LinearOperator, IReadOnlyList<long>> shape,
        Func<LinearOperator, IReadOnlyList<long>> image, Func<LinearOperator, Tensor, Tensor> product)
    {
        using var scope = NewDisposeScope();
        Tensor[] pieces = Vectors.Split(vector, [.. Parts.Select(part => shape(part).ToArray())]);
        IReadOnlyList<long>[] made = [.. Parts.Select(part => image(part))];
        return scope.MoveToOuter(Joined(made, i => product(Parts[i], pieces[i])));
    }

    // The same with a last dimension of columns.
    private Tensor BlockByBlock(Tensor columns, Func<LinearOperator, IReadOnlyList<long>> shape, Func<LinearOperator, Tensor, Tensor> product)
    {
        using var scope = NewDisposeScope();
        long count = columns.shape[^1], offset = 0;
        var products = new List<Tensor>();
        for (int i = 0; i < Parts.Length; i++) {
            LinearOperator part = Parts[i];
            IReadOnlyList<long> from = shape(part);
            Tensor made = Keep(i, product(part, columns.narrow(0, offset, Length(from)).reshape([.. from, count])));
            products.Add(made.reshape(Length(made.shape[..^1]), count));
            offset += Length(from);
        }
        return scope.MoveToOuter(cat(products));
    }

    private static long Length(IReadOnlyList<long> shape) => shape.Aggregate(1L, (length, size) => length * size);
}

public abstract partial class LinearOperator
{
    /// <summary>
    /// diag(A, B, …), which maps (x, y, …) to (A x, B y, …): inputs and outputs are flattened one after the other, into shapes (Σ Columns) and (Σ Rows).
    /// </summary>
    /// <exception cref="ArgumentException">No operator, or dtypes or devices that differ.</exception>
    public static LinearOperator BlockDiagonal(params LinearOperator[] operators)
    {
        ArgumentNullException.ThrowIfNull(operators);
        return new BlockDiagonalOperator([.. operators]);
    }
}
