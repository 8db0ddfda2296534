using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>
/// How an operator comes to its matrix without holding it, so that a change of the matrix is one of the map.
/// </summary>
public enum Capture
{
    MatVec, MatVecVecMat, VecMat, Jacobian, RowBlocks, Derived, Transposed, Stack, Product, Sum, Scaled, BlockDiagonal,
}

/// <summary>
/// An operator made of closures over a variable that has a matrix, m × n, which gradients need not reach.
/// </summary>
internal sealed class CapturedMap(Tensor matrix)
{
    /// <summary>What the closures read; may be assigned, or changed in place.</summary>
    public Tensor Matrix { get; set; } = matrix;

    public LinearOperator Operator(Capture capture)
    {
        long m = Matrix.shape[0], n = Matrix.shape[1], half = m / 2;
        ScalarType dtype = Matrix.dtype;
        LinearOperator whole = LinearOperator.FromMatVec(v => Matrix.mv(v), [n], dtype);
        Tensor eye(long size, double value) => full([size], value, dtype);
        return capture switch {
            Capture.MatVec => whole,
            Capture.MatVecVecMat => LinearOperator.FromMatVec(v => Matrix.mv(v), u => Matrix.t().mv(u), [n], dtype),
            Capture.VecMat => LinearOperator.FromVecMat(u => Matrix.t().mv(u), [m], dtype),
            Capture.Jacobian => LinearOperator.Jacobian(z => Matrix.mv(z.add(z.pow(3))), zeros(n, dtype)),
            Capture.RowBlocks => LinearOperator.FromRowBlocks(
                (_, first, count) => Matrix.detach().narrow(0, first, count), [], m, 3),
            Capture.Derived => new Derived(this, m, n, dtype),
            Capture.Transposed => LinearOperator.FromMatVec(u => Matrix.t().mv(u), [m], dtype).T,
            Capture.Stack => LinearOperator.Stack(
                LinearOperator.FromMatrix(Matrix.detach().narrow(0, 0, half).clone()),
                LinearOperator.FromMatVec(v => Matrix.narrow(0, half, m - half).mv(v), [n], dtype)),
            Capture.Product => LinearOperator.Diagonal(eye(m, 2)) * (whole * LinearOperator.Diagonal(eye(n, 0.5))),
            Capture.Sum => whole + (0.0 * LinearOperator.FromMatrix(Matrix.detach().clone())),
            Capture.Scaled => 2.0 * (tensor(0.5, dtype) * whole),
            _ => LinearOperator.BlockDiagonal(whole),
        };
    }

    /// <summary>A map of a user's own class.</summary>
    private sealed class Derived(CapturedMap map, long m, long n, ScalarType dtype)
        : LinearOperator([n], [m], dtype, CPU)
    {
        protected internal override Tensor MatVec(Tensor v) => map.Matrix.mv(v);

        protected internal override Tensor VecMat(Tensor u) => map.Matrix.t().mv(u);
    }
}
