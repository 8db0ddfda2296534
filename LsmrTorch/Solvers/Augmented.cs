using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The damped problem as an undamped one, and products that take a vector or columns of them.</summary>
internal static class Augmented
{
    /// <summary>[A; λI] and [b; λ x0], the outputs flattened; b and x0 may have columns.</summary>
    public static (LinearOperator Operator, Tensor RightHandSide) Problem(LinearOperator A, Tensor b, Tensor? x0, double damp)
    {
        long[] columns = b.shape[A.OutputShape.Count..];
        Tensor below = x0 is null ? zeros([A.Columns, .. columns], A.dtype, A.device) : x0.reshape([A.Columns, .. columns]).clone();
        Vectors.Scale(below, damp);
        return (Operator(A, damp), cat([b.reshape([A.Rows, .. columns]), below]));
    }

    /// <summary>[A; λI], or A itself where λ = 0.</summary>
    public static LinearOperator Operator(LinearOperator A, double damp) =>
        damp > 0 ? LinearOperator.Stack(A, damp * LinearOperator.Identity([.. A.InputShape], A.dtype, A.device)) : A;

    /// <summary>A v, or A times each column; stays as it is when A is multiplied with again.</summary>
    public static Tensor Product(LinearOperator A, Tensor v) =>
        A.Kept(v.dim() > A.InputShape.Count ? A.MatVecs(v) : A.MatVec(v));

    /// <summary>Aᵀu, or Aᵀ times each column; stays as it is when A is multiplied with again.</summary>
    public static Tensor TransposedProduct(LinearOperator A, Tensor u) =>
        A.Kept(u.dim() > A.OutputShape.Count ? A.VecMats(u) : A.VecMat(u));

    /// <summary>|⟨A x, r⟩ − ⟨x, Aᵀr⟩| / ‖r‖ for each column: round-off, if the transpose is one.</summary>
    public static double[] Mismatch(Tensor x, Tensor Ax, Tensor r, Tensor Atr, double[] rNorms)
    {
        int columns = rNorms.Length;
        Tensor unit = r.clone(), image = Atr.clone();
        Vectors.Divide(unit, rNorms);
        Vectors.Divide(image, rNorms);
        return [.. Vectors.Dots(Ax, unit, columns).Zip(Vectors.Dots(x, image, columns), (left, right) => Math.Abs(left - right))];
    }

    /// <summary>r = b − A x and Aᵀr, both new, by one read of A where it can.</summary>
    public static (Tensor R, Tensor Atr) Residual(LinearOperator A, Tensor b, Tensor x)
    {
        Tensor r = Vectors.Copy(b), Atr = zeros([.. A.InputShape, .. x.shape[A.InputShape.Count..]], A.dtype, A.device);
        Residual(A, x, r, Atr);
        return (r, Atr);
    }

    /// <summary>r ← r − A x and image ← Aᵀr, both contiguous.</summary>
    public static void Residual(LinearOperator A, Tensor x, Tensor r, Tensor image)
    {
        using var scope = NewDisposeScope();
        if (A.Fusion == Fusion.Step && x.dim() == A.InputShape.Count) {
            A.FusedStep(Memory.Plain(x), r, 1, image);       // both negative
            Vectors.Scale(r, -1);
            Vectors.Scale(image, -1);
        } else {
            using (NewDisposeScope())
                Vectors.AddScaled(r, -1, Product(A, x));
            image.copy_(TransposedProduct(A, r));
        }
    }

    /// <summary>
    /// About ‖A‖₂ from below, where no iteration on A itself told it: √‖Aᵀû‖‖A z‖ for û = A z / ‖A z‖ and a random z of norm 1, or
    /// after more steps of that power iteration.
    /// </summary>
    public static double Norm(LinearOperator A, int steps = 1)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using var generator = new Generator(1, CPU);
        Tensor z = randn([.. A.InputShape], float64, generator: generator).to(A.dtype).to(A.device);
        double size = Vectors.Norm(z), forth = 0, back = 0;
        for (int i = 0; i < steps && size > 0 && double.IsFinite(size); i++) {
            Vectors.Divide(z, size);
            Tensor image = Vectors.Copy(Product(A, z));
            forth = Vectors.Norm(image);
            if (forth == 0 || !double.IsFinite(forth))
                return forth;
            Vectors.Divide(image, forth);
            z = Vectors.Copy(TransposedProduct(A, image));
            size = back = Vectors.Norm(z);
        }
        return Math.Sqrt(forth) * Math.Sqrt(back);
    }
}
