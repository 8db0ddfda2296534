using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>
/// What the operator of each kind is made of: the entries of A, or M and z with A = M diag(1 + z), where 1 + z is 1/2, 1
/// or 2, so that all kinds have the same A to the last bit.
/// </summary>
internal static class Parameters
{
    private static readonly double[] s_scales = [-0.5, 0, 1];

    /// <summary>θ with A(θ) = <paramref name="matrix"/>, of its type.</summary>
    public static Tensor[] Of(Kind kind, Tensor matrix)
    {
        switch (kind) {
            case Kind.Dense:
                return [matrix.clone()];
            case Kind.Csr:
                return [matrix.reshape(-1).clone()];
            default:
                double[] scales = [.. Enumerable.Range(0, (int)matrix.shape[1]).Select(i => s_scales[i % 3])];
                Tensor z = tensor(scales).to_type(matrix.dtype);
                return [matrix.div(z.add(1)), z];
        }
    }

    /// <summary>The operator of θ.</summary>
    public static LinearOperator Operator(Kind kind, Tensor[] theta, int rows, int columns)
    {
        Tensor first = theta[0];
        switch (kind) {
            case Kind.Dense:
                return LinearOperator.FromMatrix(first);
            case Kind.Csr:
                Tensor columnIndices = arange(columns, int64, first.device).repeat(rows);
                Tensor rowStarts = arange(0, (rows * columns) + 1, columns, int64, first.device);
                return LinearOperator.FromCsr(first, columnIndices, rowStarts, columns);
            case Kind.Closure:
                return LinearOperator.FromMatVec(v => first.mv(v.add(theta[1].mul(v))), [columns], first.dtype, first.device);
            default:
                return LinearOperator.Jacobian(x => first.mv(x.add(x.mul(x).mul(0.5))), theta[1]);
        }
    }

    /// <summary>A(θ).</summary>
    public static Tensor Matrix(Kind kind, Tensor[] theta, int rows, int columns) =>
        kind is Kind.Dense or Kind.Csr ? theta[0].view(rows, columns) : theta[0].mul(theta[1].add(1));

    /// <summary>The gradients to θ, given that to A.</summary>
    public static Tensor[] Chain(Kind kind, Tensor[] theta, Tensor gradient) => kind switch {
        Kind.Dense => [gradient],
        Kind.Csr => [gradient.reshape(-1)],
        _ => [gradient.mul(theta[1].add(1)), gradient.mul(theta[0]).sum(dim: 0)],
    };

    /// <summary>
    /// θ at t on a path along which A keeps its rank: A(t) = (I + tE) A (I + tF), with F diagonal for the kinds that have a z.
    /// </summary>
    public static Tensor[] Moved(Kind kind, Tensor[] theta, int rows, int columns, Tensor e, Tensor f, double t)
    {
        Tensor left = eye(rows, dtype: float64).add(e.mul(t));
        if (kind is Kind.Dense or Kind.Csr) {
            Tensor right = eye(columns, dtype: float64).add(f.mul(t));
            return [left.mm(theta[0].view(rows, columns)).mm(right).reshape(theta[0].shape)];
        }
        return [left.mm(theta[0]), theta[1].add(1).mul(f.diag().mul(t).add(1)).sub(1)];
    }

    /// <summary>The derivative of <see cref="Moved"/> at t = 0.</summary>
    public static Tensor[] Tangent(Kind kind, Tensor[] theta, int rows, int columns, Tensor e, Tensor f)
    {
        if (kind is Kind.Dense or Kind.Csr) {
            Tensor a = theta[0].view(rows, columns);
            return [e.mm(a).add(a.mm(f)).reshape(theta[0].shape)];
        }
        return [e.mm(theta[0]), theta[1].add(1).mul(f.diag())];
    }
}
