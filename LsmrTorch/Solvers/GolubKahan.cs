using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The Golub–Kahan bidiagonalisation of A from a starting vector: orthonormal u₁, u₂, … and v₁, v₂, … with
/// β₁u₁ = start, α₁v₁ = Aᵀu₁ and, a step at a time, β₊u₊ = A v − α u, α₊v₊ = Aᵀu₊ − β₊v.
/// (Golub and Kahan 1965; Paige and Saunders 1982, "Bidiag 1".)
/// </summary>
/// <remarks>Two vectors, u (m) and v (n), in place, and one product at a time while it is added.</remarks>
internal sealed class GolubKahan
{
    private readonly LinearOperator A;

    /// <param name="A">Prepared for this solve.</param>
    /// <param name="start">Taken over and overwritten; becomes u₁.</param>
    public GolubKahan(LinearOperator A, Tensor start)
    {
        this.A = A;
        U = start;
        Beta = Normalise(U);
        V = zeros([.. A.InputShape], A.dtype, A.device);
        if (Beta > 0 && IsFinite) {
            using var scope = NewDisposeScope();
            V.copy_(A.VecMat(U));
            Alpha = Normalise(V);
        }
    }

    /// <summary>u, of A's OutputShape, norm 1 (or 0 where β is 0).</summary>
    public Tensor U { get; }

    /// <summary>v, of A's InputShape, norm 1 (or 0 where α is 0).</summary>
    public Tensor V { get; }

    /// <summary>The diagonal's entry for (u, v).</summary>
    public double Alpha { get; private set; }

    /// <summary>The subdiagonal's entry for u.</summary>
    public double Beta { get; private set; }

    /// <summary>False once a product held NaN or infinity; the vectors are then of no use.</summary>
    public bool IsFinite => double.IsFinite(Alpha) && double.IsFinite(Beta);

    /// <summary>The next β, u, α, v.</summary>
    public void Step()
    {
        using (NewDisposeScope())
            Vectors.ScaleAdd(U, -Alpha, A.MatVec(V));   // u = A v - alpha u
        Beta = Normalise(U);
        if (!double.IsFinite(Beta))
            return;
        if (Beta == 0) {                                // the space is exhausted: alpha = 0 as well
            Alpha = 0;
            Vectors.Fill(V, 0);
            return;
        }
        using (NewDisposeScope())
            Vectors.ScaleAdd(V, -Beta, A.VecMat(U));    // v = A'u - beta v
        Alpha = Normalise(V);
    }

    private static double Normalise(Tensor x)
    {
        double norm = Vectors.Norm(x);
        if (norm > 0 && double.IsFinite(norm))
            Vectors.Divide(x, norm);
        return norm;
    }
}
