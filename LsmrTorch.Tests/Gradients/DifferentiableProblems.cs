using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>Who holds the entries of A: an operator, or a closure that nothing else knows the tensors of.</summary>
public enum Holder { Dense, Csr, MatVec, MatVecVecMat, Composed, Jacobian }

/// <summary>Problems in (θ, b, λ, x0), with the operator and the dense formula that have the same derivatives of any order.</summary>
internal static class DifferentiableProblems
{
    public static readonly string[] Names = ["theta", "b", "damp", "x0"];

    public static Tensor[] Inputs(Shape shape, double damp, double cond = 3)
    {
        (long m, long n) = Problems.Size(shape);
        return [.. new[] { Problems.Matrix(m, n, cond, 11), Problems.Random(12, m), tensor(damp, float64), Problems.Random(13, n) }
            .Select(x => x.detach().requires_grad_())];
    }

    /// <summary>The operator for θ, m × n.</summary>
    public static LinearOperator Operator(Holder holder, Tensor theta)
    {
        long m = theta.shape[0], n = theta.shape[1], half = m / 2;
        switch (holder) {
            case Holder.Dense:
                return LinearOperator.FromMatrix(theta);
            case Holder.Csr:
                return LinearOperator.FromCsr(theta.reshape(-1), arange(n).repeat(m), arange(0, (m * n) + 1, n), n);
            case Holder.MatVec:
                return LinearOperator.FromMatVec(v => theta.mv(v), [n], theta.dtype);
            case Holder.MatVecVecMat:
                return LinearOperator.FromMatVec(v => theta.mv(v), u => theta.t().mv(u), [n], theta.dtype);
            case Holder.Composed:
                LinearOperator upper = LinearOperator.FromMatVec(v => theta[TensorIndex.Slice(0, half)].mv(v), [n], theta.dtype);
                return LinearOperator.Stack(
                    2.0 * (upper * LinearOperator.Diagonal(full([n], 0.5, theta.dtype))),
                    LinearOperator.FromMatrix(theta[TensorIndex.Slice(half)].t()).T);
            default:
                return LinearOperator.Jacobian(z => theta.mv(z.sin()), Point(theta));
        }
    }

    /// <summary>The same as a matrix.</summary>
    public static Tensor Matrix(Holder holder, Tensor theta) => holder == Holder.Jacobian ? theta.mul(Point(theta).cos()) : theta;

    // The Jacobian is taken at a point that moves with theta.
    private static Tensor Point(Tensor theta) => theta[0].mul(0.3);

    /// <summary>x by dense algebra that autograd differentiates; A has full rank.</summary>
    public static Tensor DenseSolution(Tensor A, Tensor b, Tensor damp, Tensor x0)
    {
        Tensor r = b.sub(A.mv(x0)), At = A.t(), square = damp.mul(damp);
        return A.shape[0] < A.shape[1]
            ? x0.add(At.mv(linalg.solve(A.mm(At).add(square.mul(eye(A.shape[0], dtype: float64))), r)))
            : x0.add(linalg.solve(At.mm(A).add(square.mul(eye(A.shape[1], dtype: float64))), At.mv(r)));
    }

    public static LsmrOptions Options(Tensor[] at, int order = 1) =>
        new() { Damp = at[2], Start = at[3], Atol = 0, Btol = 0, Gradient = new GradientOptions { Order = order } };

    public static Tensor Solution(LinearOperator A, Tensor[] at, int order = 1) => Lsmr.Solve(A, at[1], Options(at, order)).Solution;
}
