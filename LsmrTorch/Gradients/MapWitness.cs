using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Products of the operator at the time of the solve, by which a backward pass finds out whether the operator is still
/// the same map: a closure is called again there, and nothing else tells what it captures.
/// </summary>
/// <remarks>
/// The vectors are random, so that any change of A is seen that is larger than the round-off of such products: A z for
/// z with entries of size 1 to 2; A (z ∘ |x|), which sees small columns that x makes large; and Aᵀu, u of random
/// entries that grow with |r|, for a transpose by a closure of its own. Three products in the solve and three in the
/// backward pass; 2n + 3m numbers are kept.
/// </remarks>
/// <param name="Scaled">z ∘ |x|.</param>
/// <param name="Images">A z and A (z ∘ |x|), as columns.</param>
/// <param name="U">u.</param>
/// <param name="TransposedImage">Aᵀu.</param>
internal readonly record struct MapWitness(Tensor Scaled, Tensor Images, Tensor U, Tensor TransposedImage)
{
    private const double Roundoff = 100;        // of eps, times the fourth root of the number of terms

    /// <summary>How many tensors it has, to be saved by a node.</summary>
    public const int Length = 4;

    /// <summary>The tensors in the order of <see cref="From"/>; nulls for none.</summary>
    public static Tensor[] Tensors(MapWitness? witness) =>
        witness is { } kept ? [kept.Scaled, kept.Images, kept.U, kept.TransposedImage] : new Tensor[Length];

    /// <summary>The witness of these tensors; null where there was none.</summary>
    public static MapWitness? From(IReadOnlyList<Tensor?> tensors) =>
        tensors is [{ } scaled, { } images, { } u, { } transposed]
            ? new MapWitness(scaled, images, u, transposed)
            : null;

    /// <summary>
    /// The products of A as it is now, in the current dispose scope; null where no map can change unseen, since A holds
    /// all that it is made of and saved tensors tell that they were changed.
    /// </summary>
    /// <param name="A">The operator that was solved with.</param>
    /// <param name="x">The solution, which may have columns.</param>
    /// <param name="r">b − A x, where it is known.</param>
    public static MapWitness? Of(LinearOperator A, Tensor x, Tensor? r)
    {
        if (!A.MayChangeUnseen)
            return null;
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        LinearOperator products = A.Prepare();
        Tensor z = Probe(A.InputShape, A, 1), u = Probe(A.OutputShape, A, 2);
        Tensor scaled = z.mul(Magnitudes(x, A.InputShape.Count));
        if (r is not null) {
            Tensor sizes = Magnitudes(r, A.OutputShape.Count);
            double mean = Vectors.Norm(sizes) / Math.Sqrt(Math.Max(1, A.Rows));
            if (mean > 0 && double.IsFinite(1 / mean)) {
                Vectors.Divide(sizes, mean);
                u = Vectors.Sum(u, u.mul(sizes));
            }
        }
        Tensor images = Augmented.Product(products, stack([z, scaled], -1));
        Tensor transposed = Augmented.TransposedProduct(products, u);
        // A closure may write over what it returned.
        (images, transposed) = (Vectors.Copy(images), Vectors.Copy(transposed));
        return new MapWitness(scope.MoveToOuter(scaled), scope.MoveToOuter(images), scope.MoveToOuter(u),
            scope.MoveToOuter(transposed));
    }

    /// <summary>
    /// Whether the products are the same now, to round-off. False where they do not repeat at all, and that is accepted
    /// or within the gradient's tolerance: then nothing can be promised of a gradient.
    /// </summary>
    /// <param name="A">The operator as it is now, prepared for products.</param>
    /// <param name="settings">What is accepted.</param>
    /// <exception cref="ArgumentException">The operator has changed since the solve, or is not
    /// deterministic.</exception>
    public bool Holds(LinearOperator A, GradientOptions settings)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor v = stack([Probe(A.InputShape, A, 1), Scaled], -1), u = U;
        bool repeats = Repeats("A v", A, () => Augmented.Product(A, v), Images, 2, settings);
        return Repeats("Aᵀu", A, () => Augmented.TransposedProduct(A, u), TransposedImage, 1, settings) && repeats;
    }

    private static bool Repeats(string name, LinearOperator A, Func<Tensor> product, Tensor kept, int columns,
        GradientOptions settings)
    {
        double allowed = Roundoff * Vectors.Epsilon(A.dtype) * Math.Pow(Math.Max(A.Rows, A.Columns), 0.25);
        Tensor found = Vectors.Copy(product());
        double change = Difference(found, kept, columns);
        if (change <= allowed)
            return true;
        double noise = Difference(product(), found, columns);
        if (!(noise > change / 8)) {
            throw new ArgumentException($"The operator of the backward pass is not the one that was solved with: "
                + $"{name} has changed by a relative {Text.Number(change)}. {Rule}");
        }
        if (settings.WhenUnconverged != Unconverged.Accept && !(noise <= settings.ToleranceIn(A.dtype))) {
            throw new ArgumentException($"The operator is not deterministic: {name} differs by a relative "
                + $"{Text.Number(noise)} between two calls. {Rule}");
        }
        return false;
    }

    private const string Rule = "A closure must give the same product for the same vector (no dropout), and what it "
        + "captures, variables and the entries of tensors, must stay as it is from the solve to the last "
        + "backward pass through the solution.";

    // The largest ‖found_j − kept_j‖ / ‖kept_j‖; a column that had overflowed tells nothing.
    private static double Difference(Tensor found, Tensor kept, int columns)
    {
        double[] sizes = Vectors.Norms(kept, columns), now = Vectors.Norms(found, columns);
        double[] changes = Vectors.Norms(found.sub(kept), columns);
        double worst = 0;
        for (int j = 0; j < columns; j++) {
            if (double.IsFinite(sizes[j]) && changes[j] != 0)
                worst = Math.Max(worst, changes[j] / (sizes[j] > 0 ? sizes[j] : now[j]));       // NaN stays
        }
        return worst;
    }

    // Entries of random sign and of a size between 1 and 2, so that no entry of A is missed.
    private static Tensor Probe(IReadOnlyList<long> shape, LinearOperator A, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(seed, CPU);
        Tensor centred = rand([.. shape], A.dtype, CPU, generator: generator);
        using Scalar half = -0.5, one = 1.0;
        centred.add_(half, one);
        Vectors.Scale(centred, 2);
        return scope.MoveToOuter(Vectors.Sum(centred, centred.sign()).to(A.device));
    }

    // Of each entry; of several columns the sum.
    private static Tensor Magnitudes(Tensor x, int dimensions)
    {
        using Tensor magnitudes = x.detach().abs();
        return x.dim() > dimensions ? magnitudes.sum(-1, false) : magnitudes.alias();
    }
}
