using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>R⁻¹ with RᵀR = (S A)ᵀ(S A) + damp² I, upper triangular, and what it was made from.</summary>
internal sealed class SketchedInverse(Tensor R, SparseSigns S, Tensor sketch) : LinearOperator([R.shape[1]], [R.shape[0]], R.dtype, R.device)
{
    /// <summary>
    /// The solution R⁻¹R⁻ᵀ(S A)ᵀS r of the sketched problem min ‖S (A d − r)‖² + damp²‖d‖² for a residual r of A's OutputShape (and
    /// columns), near that of the problem itself; null where r is none of A's.
    /// </summary>
    public Tensor? Guess(Tensor r)
    {
        if (r.shape[0] != S.Columns)
            return null;
        using var scope = NewDisposeScope();
        Tensor Sr = S.Times(r.reshape(r.shape[0], -1)), right = sketch.t().mm(Sr);
        return scope.MoveToOuter(MatVecs(VecMats(right)).reshape([R.shape[0], .. r.shape[1..]]).clone());
    }

    /// <summary>R, whose norm is about that of [A; damp I].</summary>
    public LinearOperator Inverse => new DenseOperator(R);

    protected internal override Tensor MatVec(Tensor v) => Solve(R, v, upper: true);

    protected internal override Tensor VecMat(Tensor u)
    {
        using Tensor transpose = R.t();
        return Solve(transpose, u, upper: false);
    }

    protected internal override Tensor MatVecs(Tensor V) => linalg.solve_triangular(R, V, upper: true);

    protected internal override Tensor VecMats(Tensor U)
    {
        using Tensor transpose = R.t();
        return linalg.solve_triangular(transpose, U, upper: false);
    }

    private static Tensor Solve(Tensor triangle, Tensor x, bool upper)
    {
        using Tensor column = x.unsqueeze(1);
        using Tensor solution = linalg.solve_triangular(triangle, column, upper);
        return solution.squeeze(1);
    }

    internal override bool MayRequireGrad => false;

    internal override bool MayWriteBuffer => false;

    internal override IEnumerable<Tensor> Held => [R];

    internal override LinearOperator With(Queue<Tensor> held) => new SketchedInverse(held.Dequeue(), S, sketch);
}
