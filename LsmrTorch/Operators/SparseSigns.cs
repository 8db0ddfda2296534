using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A sparse sign matrix S for sketching, with E[SᵀS] = I: each column has ζ entries ±1/√ζ, one in each of ζ blocks of
/// rows (Clarkson and Woodruff 2013 for ζ = 1; Kane and Nelson 2014; Martinsson and Tropp 2020, section 9.2). S A costs
/// ζ additions for each entry of A.
/// </summary>
internal sealed class SparseSigns
{
    /// <summary>ζ. Twice as many save no iteration, and cost twice the additions.</summary>
    private const long Nonzeros = 4;

    private readonly Tensor targets, signs; // of shape (ζ, columns): where the entries of a column are, and what
    private readonly long rows;

    private SparseSigns(Tensor targets, Tensor signs, long rows)
    {
        (this.targets, this.signs, this.rows) = (targets, signs, rows);
    }

    /// <summary>At least <paramref name="rows"/> rows, a multiple of ζ. Its tensors belong to the current dispose scope.</summary>
    public static SparseSigns Random(long rows, long columns, ScalarType dtype, Device device, long seed)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)seed, CPU);
        long height = (rows + Nonzeros - 1) / Nonzeros;
        using Scalar end = Nonzeros * height, step = height, zero = 0, one = 1;
        Tensor starts = arange(zero, end, step, int64).unsqueeze(1);
        Tensor targets = randint(height, [Nonzeros, columns], int64, CPU, generator: generator).add(starts, one).to(device);
        Tensor signs = Vectors.RandomSigns([Nonzeros, columns], 1 / Math.Sqrt(Nonzeros), dtype, device, generator);
        return new SparseSigns(scope.MoveToOuter(targets), scope.MoveToOuter(signs), Nonzeros * height);
    }

    /// <summary>The identity, for an A that is not worth a sketch.</summary>
    public static SparseSigns Identity(long size, ScalarType dtype, Device device)
    {
        using Scalar count = size;
        using Tensor indices = arange(count, int64, device);
        return new SparseSigns(indices.unsqueeze(0), ones([1, size], dtype, device), size);
    }

    public long Columns => targets.shape[1];

    /// <summary>The same S, whose tensors leave the scope.</summary>
    public SparseSigns MoveToOuter(DisposeScope scope)
    {
        scope.MoveToOuter(targets);
        scope.MoveToOuter(signs);
        return this;
    }

    /// <summary>S A for a dense A; one that is not contiguous is copied.</summary>
    public Tensor Times(Tensor matrix)
    {
        using var scope = NewDisposeScope();
        if (matrix.device_type == DeviceType.CPU && matrix.numel() > 0) {
            Tensor product = empty(rows, matrix.shape[1], matrix.dtype, matrix.device);
            Memory.PreferLargePages(product);
            SignedSums.Write(Memory.Plain(matrix.detach()), targets, signs, product);
            return scope.MoveToOuter(product);
        }
        using Scalar count = matrix.shape[0];
        Tensor columnOf = arange(count, int64, matrix.device).expand_as(targets).reshape(-1);
        Tensor places = stack([targets.reshape(-1), columnOf]);
        Tensor S = sparse_coo_tensor(places, signs.reshape(-1), [rows, matrix.shape[0]]);
        return scope.MoveToOuter(S.mm(matrix.detach().contiguous()));
    }

    /// <summary>S A, dense, for an A with values[k] added at (rowOf[k], columnOf[k]).</summary>
    public Tensor Times(Tensor values, Tensor columnOf, Tensor rowOf, long columns)
    {
        using var scope = NewDisposeScope();
        using Scalar width = columns, one = 1;
        Tensor product = zeros(rows * columns, values.dtype, values.device);
        for (long k = 0; k < targets.shape[0]; k++) {
            using var entries = NewDisposeScope();
            Tensor places = targets[k].index_select(0, rowOf).mul(width).add(columnOf, one);
            product.scatter_add_(0, places, signs[k].index_select(0, rowOf).mul(values));
        }
        return scope.MoveToOuter(product.view(rows, columns));
    }
}
