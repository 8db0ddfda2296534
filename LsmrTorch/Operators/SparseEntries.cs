using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>What a sparse tensor holds, as compressed rows.</summary>
/// <param name="Values">Its values, in its own order and memory.</param>
/// <param name="Order">
/// Where each entry, in the order of the rows, is among them; null where they are in that order.
/// </param>
/// <param name="ColumnOf">The column of each entry, in the order of the rows.</param>
/// <param name="Starts">Where each row begins, and the number of entries.</param>
/// <param name="IsCoalesced">Whether there is one for each place, and they are in the order of the rows.</param>
internal sealed record SparseEntries(Tensor Values, Tensor? Order, Tensor ColumnOf, Tensor Starts, bool IsCoalesced)
{
    // TorchSharp has neither compressed tensors nor the values that autograd sees.
    private static readonly Lazy<jit.CompilationUnit> script = new(() => jit.compile("""
        def coordinates(x):
            y = x.coalesce()
            return y.indices(), y.values()

        def is_coalesced(x):
            return x.is_coalesced()

        def compressed(x):
            return x.crow_indices(), x.col_indices(), x.values()

        """));

    /// <summary>
    /// Those of a tensor in coordinates, coalesced or not, or in compressed rows; they carry no gradients.
    /// </summary>
    /// <exception cref="ArgumentException">The values have dimensions of their own.</exception>
    public static SparseEntries Of(Tensor source)
    {
        using var guard = no_grad();
        if (!source.is_sparse)
            return Compressed(source.detach());
        Tensor plain = source.detach(), values = plain.SparseValues, places = plain.SparseIndices;
        RequirePlain(values);
        Tensor rowOf = places.select(0, 0), columnOf = places.select(0, 1);
        if (rowOf.numel() < 2 || rowOf.diff().ge(Zero).all().item<bool>())
            return new SparseEntries(values, null, columnOf, StartsOf(rowOf, source), HasOneEach(plain));
        (Tensor sorted, Tensor order) = rowOf.sort(stable: true);
        return new SparseEntries(values, order, columnOf.index_select(0, order), StartsOf(sorted, source),
            IsCoalesced: false);
    }

    /// <summary>Those with values that carry gradients to the tensor, one for each place.</summary>
    public static SparseEntries Differentiable(Tensor source)
    {
        if (!source.is_sparse)
            return Compressed(source);
        (Tensor places, Tensor values) = script.Value.invoke<(Tensor, Tensor)>("coordinates", source);
        return new SparseEntries(values, null, places.select(0, 1), StartsOf(places.select(0, 0), source),
            IsCoalesced: true);
    }

    private static SparseEntries Compressed(Tensor source)
    {
        (Tensor starts, Tensor columnOf, Tensor values) = script.Value.invoke<(Tensor, Tensor, Tensor)>("compressed",
            source);
        RequirePlain(values);
        return new SparseEntries(values, null, columnOf, starts, IsCoalesced: true);
    }

    private static bool HasOneEach(Tensor coordinates)
    {
        using var answer = (Scalar)script.Value.invoke("is_coalesced", coordinates);
        return answer.ToBoolean();
    }

    private static void RequirePlain(Tensor values)
    {
        if (values.dim() != 1)
            throw new ArgumentException(
                $"A sparse matrix must have a number at each place, but the tensor's values have shape "
                    + $"{Text.Shape(values.shape)}.");
    }

    // How many entries are in rows before each.
    private static Tensor StartsOf(Tensor sortedRows, Tensor source)
    {
        using Scalar end = source.size(0) + 1;
        using var guard = no_grad();
        return searchsorted(sortedRows.contiguous(), arange(end, int64, source.device));
    }

    /// <summary>Whether the values lie in the order of the rows.</summary>
    public bool IsInOrder => Order is null;

    /// <summary>Values in the order of the rows.</summary>
    public Tensor InOrder(Tensor values) => Order is null ? values : values.index_select(0, Order);

    /// <summary>All tensors.</summary>
    public IEnumerable<Tensor> Held => Order is null ? [Values, ColumnOf, Starts] : [Values, Order, ColumnOf, Starts];

    /// <summary>
    /// Throws where a tensor in coordinates has got other entries since, not only other numbers in their memory.
    /// </summary>
    /// <exception cref="ArgumentException">So it is.</exception>
    public void RequireOf(Tensor source)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor values = source.is_sparse ? source.detach().SparseValues : Compressed(source.detach()).Values;
        bool isSame = values.numel() == Values.numel()
            && (values.numel() == 0 || values.device_type != DeviceType.CPU
                || Memory.Address(values) == Memory.Address(Values));
        if (!isSame)
            throw new ArgumentException(
                "The sparse tensor of an operator must keep its entries, though their numbers may change in place, "
                    + "but it has got others; make the operator anew.");
    }

    private static readonly Scalar Zero = 0;
}
