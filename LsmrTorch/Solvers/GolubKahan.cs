using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The Golub–Kahan bidiagonalisation of A from a starting vector: orthonormal u₁, u₂, … and v₁, v₂, … with
/// β₁u₁ = start, α₁v₁ = Aᵀu₁ and, a step at a time, β₊u₊ = A v − α u, α₊v₊ = Aᵀu₊ − β₊v.
/// (Golub and Kahan 1965; Paige and Saunders 1982, "Bidiag 1".) Several starting vectors, the columns of one tensor, go
/// side by side, each with its own α and β, and share each product.
/// </summary>
/// <remarks>
/// Two vectors a column, u (m) and v (n), in place, and one product at a time while it is added. With a window of w, the
/// last w of v besides, against which each new v is made orthogonal again (Fong and Saunders 2011, section 7.4: doing it for v
/// alone suffices); round-off otherwise loses their orthogonality, and the iterations grow with it.
/// </remarks>
internal sealed class GolubKahan
{
    private readonly LinearOperator A;
    private readonly bool isBlock;
    private readonly int window;
    private readonly Fusion fusion;
    private readonly Tensor? image;     // fused: A'u of this step, or A v for the next
    private bool hasImage;
    private Tensor? recent;         // (columns, window, n): the last v of each column, zero where there are none yet
    private long steps;

    /// <param name="A">Prepared for this solve.</param>
    /// <param name="start">Of A's OutputShape, or with one more dimension for columns. Taken over and overwritten; becomes u₁.</param>
    /// <param name="window">How many of the last v each new one is made orthogonal against.</param>
    public GolubKahan(LinearOperator A, Tensor start, int window = 0)
    {
        this.A = A;
        isBlock = start.dim() > A.OutputShape.Count;
        int columns = isBlock ? (int)start.shape[^1] : 1;
        this.window = (int)Math.Min(window, A.Columns);
        U = start;
        Beta = Normalise(U, columns);
        Alpha = new double[columns];
        Entries = [.. Beta.Select(_ => new BidiagonalEntries())];
        V = zeros(isBlock ? [.. A.InputShape, columns] : [.. A.InputShape], A.dtype, A.device);
        if (Continues()) {
            using (NewDisposeScope())
                V.copy_(isBlock ? A.VecMats(U) : A.VecMat(U));
            Alpha = Normalise(V, columns);
        }
        fusion = isBlock ? Fusion.None : A.Fusion;
        if (fusion == Fusion.Transposed && this.window > 0)
            fusion = Fusion.None;                       // v is changed after A v
        if (fusion != Fusion.None)
            image = zeros(fusion == Fusion.Step ? [.. A.InputShape] : [.. A.OutputShape], A.dtype, A.device);
        if (this.window > 0) {
            recent = zeros(columns, this.window, A.Columns, A.dtype, A.device);
            Remember();
        }
    }

    /// <summary>u, of A's OutputShape (and columns), norm 1 (or 0 where β is 0).</summary>
    public Tensor U { get; private set; }

    /// <summary>v, of A's InputShape (and columns), norm 1 (or 0 where α is 0).</summary>
    public Tensor V { get; private set; }

    /// <summary>The diagonal's entry for (u, v), of each column.</summary>
    public double[] Alpha { get; private set; }

    /// <summary>The subdiagonal's entry for u, of each column.</summary>
    public double[] Beta { get; private set; }

    /// <summary>What each column's bidiagonal matrix has been so far.</summary>
    public BidiagonalEntries[] Entries { get; private set; }

    /// <summary>False once a product of the column held NaN or infinity; its vectors are then of no use.</summary>
    public bool IsFinite(int column) => double.IsFinite(Alpha[column]) && double.IsFinite(Beta[column]);

    /// <summary>The next β, u, α, v.</summary>
    public void Step()
    {
        double[] alphaOld = Alpha;
        NextU();
        for (int j = 0; j < Entries.Length; j++)
            Entries[j].Add(alphaOld[j], Beta[j]);
        if (!Continues()) {                             // the space is exhausted, and alpha = 0 as well; or all is NaN
            Alpha = new double[Beta.Length];
            Vectors.Fill(V, 0);
            return;
        }
        NextV();
        if (recent is not null)
            Remember();
    }

    // u = A v - alpha u
    private void NextU()
    {
        if (fusion == Fusion.Step) {
            Beta = [A.FusedStep(V, U, Alpha[0], image!)];           // and the image A'u, of u before it is normalised
            Vectors.Divide(U, [Finite(Beta[0])]);
            return;
        }
        using (NewDisposeScope())
            Vectors.ScaleAdd(U, Negated(Alpha), hasImage ? image! : isBlock ? A.MatVecs(V) : A.MatVec(V));
        Beta = Normalise(U, Beta.Length);
    }

    // v = A'u - beta v
    private void NextV()
    {
        if (fusion == Fusion.Transposed) {
            Alpha = [A.FusedTransposedStep(U, V, Beta[0], image!)]; // and the image A v, of v before it is normalised
            Vectors.Divide(V, [Finite(Alpha[0])]);
            Vectors.Divide(image!, [Finite(Alpha[0])]);
            hasImage = true;
            return;
        }
        using (NewDisposeScope()) {
            Tensor product = fusion == Fusion.Step ? image! : isBlock ? A.VecMats(U) : A.VecMat(U);
            if (fusion == Fusion.Step)
                Vectors.Divide(product, Beta[0]);
            Vectors.ScaleAdd(V, Negated(Beta), product);
            if (recent is not null)
                Reorthogonalise(recent);
        }
        Alpha = Normalise(V, Beta.Length);
    }

    /// <summary>Drops all columns but these.</summary>
    public void Keep(long[] columns)
    {
        Tensor u = U, v = V;
        U = Vectors.Columns(u, columns);
        V = Vectors.Columns(v, columns);
        u.Dispose();
        v.Dispose();
        if (recent is { } all) {
            using Tensor indices = tensor(columns, int64);
            using Tensor there = indices.to(all.device);
            recent = all.index_select(0, there);
            all.Dispose();
        }
        (Alpha, Beta) = (Columns(Alpha, columns), Columns(Beta, columns));
        Entries = Columns(Entries, columns);
    }

    /// <summary>The entries of an array for these columns.</summary>
    public static T[] Columns<T>(T[] all, long[] columns) => [.. columns.Select(j => all[j])];

    // Whether a column has somewhere to go.
    private bool Continues() => Beta.Any(beta => beta > 0 && double.IsFinite(beta));

    // Twice where the first time took digits (Kahan and Parlett: "twice is enough"). What is only round-off after that is no direction:
    // the space is exhausted, and round-off made a unit vector would be one more copy of what Q holds, and grow with each. Where
    // beta is round-off of what was taken away, u was such a copy itself, and A'u = beta v + alpha v+ not true of it.
    private void Reorthogonalise(Tensor recent)
    {
        double[] before = Vectors.Norms(V, Beta.Length);
        Project(recent);
        double[] after = Vectors.Norms(V, Beta.Length);
        if (after.Where((norm, j) => norm < 0.5 * before[j]).Any()) {
            Project(recent);
            after = Vectors.Norms(V, Beta.Length);
        }
        double roundoff = 3 * Math.Sqrt(A.Columns) * Vectors.Epsilon(V.dtype);
        double[] kept = [.. after.Select((norm, j) => norm <= roundoff * Math.Max(before[j], Beta[j]) ? 0.0 : 1)];
        if (!kept.Contains(0))
            return;
        Vectors.Scale(V, kept);
        double[] isNew = [.. kept.Select((keep, j) => keep == 0 && Beta[j] <= 10 * roundoff * before[j] ? 0.0 : 1)];
        Vectors.Scale(U, isNew);
        Beta = [.. Beta.Zip(isNew, (beta, keep) => keep * beta)];
    }

    // v = v - Q Q'v for the recent ones, the columns of Q.
    private void Project(Tensor recent)
    {
        Tensor v = V.reshape(-1, Alpha.Length).t().unsqueeze(-1);                           // (columns, n, 1)
        Tensor components = recent.bmm(v);
        Tensor back = recent.transpose(1, 2).bmm(components).squeeze(-1).t();
        Vectors.AddScaled(V, -1, back.reshape(V.shape));
    }

    private void Remember()
    {
        using var scope = NewDisposeScope();
        Tensor place = recent!.select(1, steps++ % window);
        place.copy_(V.reshape(-1, Alpha.Length).t());
    }

    private static double[] Normalise(Tensor x, int columns)
    {
        double[] norms = Vectors.Norms(x, columns);
        Vectors.Divide(x, [.. norms.Select(Finite)]);
        return norms;
    }

    // A column whose norm is no number is left as it is.
    private static double Finite(double norm) => double.IsFinite(norm) ? norm : 0;

    private static double[] Negated(double[] a) => [.. a.Select(x => -x)];
}
