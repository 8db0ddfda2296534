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
internal sealed partial class GolubKahan
{
    private readonly LinearOperator A;
    private readonly bool isBlock;
    private readonly int window;
    private readonly Fusion offered;
    private Fusion fusion;              // of this solve
    private readonly Tensor? image;     // fused: A'u of this step, or A v for the next
    private bool hasImage;
    private readonly bool keepsU;
    private Tensor? recent;         // (columns, window, n or m): the last v (or u) of each column, zero where there are none yet
    private long remembered;
    private double[] negated;

    /// <param name="A">Prepared for this solve.</param>
    /// <param name="start">Of A's OutputShape, or with one more dimension for columns; contiguous. Taken over: it is to be there when <see cref="Begin"/> is called, and becomes u₁.</param>
    /// <param name="window">How many of the last v each new one is made orthogonal against.</param>
    /// <param name="keepsU">Whether u are kept orthogonal in place of v: for a solver that builds its answer from them.</param>
    /// <param name="readsOnce">Whether a step leaves its numbers on the device until both are there, for one transfer; by default where there is one.</param>
    public GolubKahan(LinearOperator A, Tensor start, int window = 0, bool keepsU = false, bool? readsOnce = null)
    {
        this.A = A;
        isBlock = start.dim() > A.OutputShape.Count;
        int columns = isBlock ? (int)start.shape[^1] : 1;
        this.window = (int)Math.Min(window, keepsU ? A.Rows : A.Columns);
        this.keepsU = keepsU;
        (Alpha, Beta, negated) = (new double[columns], new double[columns], new double[columns]);
        Entries = [.. Beta.Select(_ => new BidiagonalEntries())];
        mayReadOnce = ReadsOnce = (readsOnce ?? A.device.type != DeviceType.CPU) && this.window == 0;
        if (mayReadOnce) {
            alphaThere = zeros(columns, float64, A.device);
            arrival = new Arrival(NumbersOfColumn * columns, A.device);
        }
        U = start;
        V = zeros(isBlock ? [.. A.InputShape, columns] : [.. A.InputShape], A.dtype, A.device);
        offered = isBlock || ReadsOnce ? Fusion.None : A.Fusion;
        if (offered == (keepsU ? Fusion.Step : Fusion.Transposed) && this.window > 0)
            offered = Fusion.None;                      // what is changed has gone through the next product by then
        if (offered != Fusion.None)
            image = zeros(offered == Fusion.Step ? [.. A.InputShape] : [.. A.OutputShape], A.dtype, A.device);
        if (this.window > 0)
            recent = zeros(columns, this.window, keepsU ? A.Rows : A.Columns, A.dtype, A.device);
    }

    /// <summary>β₁, u₁, α₁ and v₁ of what <see cref="U"/> holds, and of what V holds where that is Aᵀ start already. Forgets what was before.</summary>
    public void Begin(bool hasStartImage = false)
    {
        (remembered, hasImage, fusion) = (0, false, offered);
        if (recent is not null)
            Vectors.Clear(recent);
        foreach (BidiagonalEntries entries in Entries)
            entries.Clear();
        Array.Clear(Alpha);
        Vectors.Norms(U, Beta);
        Vectors.Divide(U, Beta);
        if (!Continues()) {
            Vectors.Clear(V);
        } else {
            if (hasStartImage)
                Vectors.Divide(V, Beta);
            else
                StartV();
            Vectors.Norms(V, Alpha);
            Vectors.Divide(V, Alpha);
            if (!IsMild(Alpha[0]))
                (fusion, hasImage) = (Fusion.None, false);
            if (hasImage)
                Vectors.Divide(image!, Alpha);
        }
        ReadsOnce = mayReadOnce && Alpha.All(SquaresFit) && Beta.All(SquaresFit);
        if (ReadsOnce)
            BeginOnDevice();
        Remember(keepsU ? U : V);
    }

    // Norms on the device are roots of sums of squares in float64, those of x, which is like β / α, too.
    private bool SquaresFit(double norm) => A.dtype == ScalarType.Float32 || norm is 0 or (> 1e-70 and < 1e70);

    // A fused step multiplies a vector that is not normalised yet, so that it has entries of the size of ‖A‖².
    private bool IsMild(double alpha) => A.dtype == ScalarType.Float32 ? alpha is > 1e-9 and < 1e9 : alpha is > 1e-120 and < 1e120;

    // v = A'u, by a step from 0 where there is one: the other image is needed anyway, or u as it is.
    private void StartV()
    {
        if (fusion == Fusion.Transposed) {
            Vectors.Clear(V);
            A.FusedTransposedStep(U, V, 0, image!);
            hasImage = true;
        } else if (fusion == Fusion.Step) {
            Vectors.Clear(V);
            A.FusedStep(V, U, -1, image!);
            Vectors.Assign(V, image!);
        } else {
            using (NewDisposeScope())
                Vectors.Assign(V, isBlock ? A.VecMats(U) : A.VecMat(U));
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
        if (ReadsOnce) {
            StepOnDevice(null, []);
            return;
        }
        NextU();
        for (int j = 0; j < Entries.Length; j++)
            Entries[j].Add(Alpha[j], Beta[j]);
        if (Continues()) {
            NextV();
        } else {                                        // the space is exhausted, and alpha = 0 as well; or all is NaN
            Array.Clear(Alpha);
            Vectors.Clear(V);
        }
    }

    // With every one kept the vectors stay orthogonal, so that of u there are at most m and of v at most n: a further one would be noise.
    private bool IsExhausted(long found, long dimension) => window >= Math.Min(A.Rows, A.Columns) && window > 0 && found >= dimension;

    // u = A v - alpha u
    private void NextU()
    {
        if (IsExhausted(remembered, A.Rows)) {
            Vectors.Clear(U);
            Array.Clear(Beta);
            return;
        }
        if (fusion == Fusion.Step) {
            Beta[0] = A.FusedStep(V, U, Alpha[0], image!);          // and the image A'u, of u before it is normalised
        } else {
            if (hasImage) {
                Vectors.ScaleAdd(U, Negated(Alpha), image!, Beta);
            } else {
                using (NewDisposeScope())
                    Vectors.ScaleAdd(U, Negated(Alpha), isBlock ? A.MatVecs(V) : A.MatVec(V), Beta);
            }
            if (keepsU && recent is not null) {
                Reorthogonalise(U, Alpha);
                Vectors.Norms(U, Beta);
            }
        }
        Vectors.Divide(U, Beta);
        if (keepsU)
            Remember(U);
    }

    // v = A'u - beta v
    private void NextV()
    {
        if (IsExhausted(keepsU ? remembered - 1 : remembered, A.Columns)) {
            Vectors.Clear(V);
            Array.Clear(Alpha);
            return;
        }
        if (fusion == Fusion.Transposed) {
            Alpha[0] = A.FusedTransposedStep(U, V, Beta[0], image!); // and the image A v, of v before it is normalised
            Vectors.Divide(image!, Alpha);
            hasImage = true;
        } else {
            if (fusion == Fusion.Step) {
                Vectors.Divide(image!, Beta);
                Vectors.ScaleAdd(V, Negated(Beta), image!, Alpha);
            } else {
                using (NewDisposeScope())
                    Vectors.ScaleAdd(V, Negated(Beta), isBlock ? A.VecMats(U) : A.VecMat(U), Alpha);
            }
            if (!keepsU && recent is not null) {
                if (Reorthogonalise(V, Beta) is { } isNew) {
                    Vectors.Scale(U, isNew);
                    for (int j = 0; j < isNew.Length; j++)
                        Beta[j] *= isNew[j];
                }
                Vectors.Norms(V, Alpha);
            }
        }
        Vectors.Divide(V, Alpha);
        if (!keepsU)
            Remember(V);
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
        if (mayReadOnce)
            KeepOnDevice(columns);
        (Alpha, Beta, negated) = (Columns(Alpha, columns), Columns(Beta, columns), new double[columns.Length]);
        Entries = Columns(Entries, columns);
    }

    /// <summary>The entries of an array for these columns.</summary>
    public static T[] Columns<T>(T[] all, long[] columns) => [.. columns.Select(j => all[j])];

    // Whether a column has somewhere to go.
    private bool Continues()
    {
        foreach (double beta in Beta) {
            if (beta > 0 && double.IsFinite(beta))
                return true;
        }
        return false;
    }

    // Twice where the first time took digits (Kahan and Parlett: "twice is enough"). What is only round-off after that is no direction:
    // the space is exhausted, and round-off made a unit vector would be one more copy of what Q holds, and grow with each. Where the
    // other side's norm is round-off of what was taken away, its vector was such a copy itself: 0 for its column then, where any is.
    private double[]? Reorthogonalise(Tensor x, double[] coupling)
    {
        if (recent is null)
            return null;
        using var scope = NewDisposeScope();
        double[] before = Vectors.Norms(x, coupling.Length);
        Project(x, recent);
        double[] after = Vectors.Norms(x, coupling.Length);
        if (after.Where((norm, j) => norm < 0.5 * before[j]).Any()) {
            Project(x, recent);
            after = Vectors.Norms(x, coupling.Length);
        }
        double roundoff = 3 * Math.Sqrt(recent.shape[2]) * Vectors.Epsilon(x.dtype);
        double[] kept = [.. after.Select((norm, j) => norm <= roundoff * Math.Max(before[j], coupling[j]) ? 0.0 : 1)];
        if (!kept.Contains(0))
            return null;
        Vectors.Scale(x, kept);
        return [.. kept.Select((keep, j) => keep == 0 && coupling[j] <= 10 * roundoff * before[j] ? 0.0 : 1)];
    }

    // x = x - Q Q'x for the recent ones, the columns of Q.
    private static void Project(Tensor x, Tensor recent)
    {
        Tensor columns = x.reshape(-1, recent.shape[0]).t().unsqueeze(-1);                  // (columns, n, 1)
        Tensor components = recent.bmm(columns);
        Tensor back = recent.transpose(1, 2).bmm(components).squeeze(-1).t();
        Vectors.AddScaled(x, -1, back.reshape(x.shape));
    }

    private void Remember(Tensor x)
    {
        if (recent is null)
            return;
        using var scope = NewDisposeScope();
        Tensor place = recent.select(1, remembered++ % window);
        place.copy_(x.reshape(-1, Alpha.Length).t());
    }

    private double[] Negated(double[] a)
    {
        for (int j = 0; j < a.Length; j++)
            negated[j] = -a[j];
        return negated;
    }
}
