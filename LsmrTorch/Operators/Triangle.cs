using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The R of a QR factorisation, where Q is not wanted and the columns must be independent.</summary>
internal static class Triangle
{
    /// <summary>
    /// An upper triangular R with RᵀR = BᵀB + damp² I: by Cholesky where the condition allows to square it, which takes half the
    /// time, else by Householder QR of [B; damp I].
    /// </summary>
    /// <exception cref="ArgumentException">B, made from A, is not finite, or a column of it depends on those before it to the precision of the dtype.</exception>
    public static Tensor Of(Tensor B, double damp)
    {
        using var scope = NewDisposeScope();
        Tensor? R = ByCholesky(B, damp);
        if (R is null) {
            Require.Finite(B, "A's entries");           // one that is not has no Cholesky factor: it is on the diagonal of BᵀB
            R = ByHouseholder(B, damp);
            RequireIndependent(R);                      // what Cholesky's condition has shown already
        }
        return scope.MoveToOuter(R);
    }

    // BᵀB + damp² I = LLᵀ and R = Lᵀ. With D the columns' norms, round-off D E D of the left side, E at most about eps n, turns into
    // one of L⁻¹D E D L⁻ᵀ for B R⁻¹, which must be small against 1: the condition counts, but not that of D (Demmel 1989).
    private static Tensor? ByCholesky(Tensor B, double damp)
    {
        if (!Vectors.Fits(damp * damp, B.dtype) || !double.IsFinite(damp * damp))
            return null;
        using var scope = NewDisposeScope();
        Tensor gram = LowerGram(B);
        using Scalar damping = damp * damp;
        gram.diagonal().add_(damping);
        Tensor norms = gram.diagonal().sqrt();
        using Scalar tiny = 1e3 * Vectors.SmallestRoot(B.dtype);
        if (norms.lt(tiny).any().item<bool>())
            return null;
        (Tensor L, Tensor failed) = linalg.cholesky_ex(gram);
        if (failed.item<int>() != 0)
            return null;
        double inverseNorm = InverseNorm(L, norms.unsqueeze(1));
        return Vectors.Epsilon(B.dtype) * norms.numel() * inverseNorm * inverseNorm < 1
            ? scope.MoveToOuter(L.t())
            : null;
    }

    // The lower half of BᵀB in blocks of rows, and whatever of the upper half is in the blocks.
    private static Tensor LowerGram(Tensor B)
    {
        const long Block = 256;
        long n = B.shape[1];
        Tensor gram = zeros(n, n, B.dtype, B.device);
        for (long start = 0; start < n; start += Block) {
            using var scope = NewDisposeScope();
            long end = Math.Min(start + Block, n);
            Tensor rows = gram.narrow(0, start, end - start).narrow(1, 0, end);
            rows.addmm_(B.narrow(1, start, end - start).t(), B.narrow(1, 0, end));
        }
        return gram;
    }

    // ‖L⁻¹D‖ from below, seldom by more than a factor of two: power iteration on D(LLᵀ)⁻¹D from random signs.
    private static double InverseNorm(Tensor L, Tensor D)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(0, CPU);
        Tensor Lt = L.t(), x = Vectors.RandomSigns([L.shape[0], 1], 1, L.dtype, L.device, generator);
        double growth = 0;
        for (int i = 0; i < 4; i++) {
            Vectors.Divide(x, Vectors.Norm(x));
            x = linalg.solve_triangular(Lt, linalg.solve_triangular(L, x.mul(D), upper: false), upper: true).mul(D);
            growth = Vectors.Norm(x);
        }
        return Math.Sqrt(growth);
    }

    private static Tensor ByHouseholder(Tensor B, double damp)
    {
        using var scope = NewDisposeScope();
        if (damp > 0) {
            Tensor identity = eye(B.shape[1], dtype: B.dtype, device: B.device);
            Vectors.Scale(identity, damp);
            B = cat([B, identity]);
        }
        return scope.MoveToOuter(linalg.qr(B, linalg.QRMode.R).R);
    }

    // |R_jj| is the distance of column j to the span of those before it; for a dependent one it is round-off of the norm.
    private static void RequireIndependent(Tensor R)
    {
        using Scalar roundOff = 10 * Math.Sqrt(R.shape[0]) * Vectors.Epsilon(R.dtype);
        if (R.numel() == 0)
            return;
        double largest = Vectors.Read(R.abs().max());
        Tensor scaled = R.clone();                      // so that the squares in the norms stay in the range
        if (largest > 0)
            Vectors.Divide(scaled, largest);
        Tensor dependent = scaled.diagonal().abs().le(scaled.norm(dim: 0).mul(roundOff));
        if (dependent.any().item<bool>())
            throw new ArgumentException($"Column {dependent.to(int64).argmax().item<long>()} of A depends on those before it, to the precision of {R.dtype}: use damping, or no sketch.");
    }
}
