using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Checks a solve by residuals recomputed from x. What a solve claims by norms of the whole may be false for a small row or
/// column beside a large one, so that an operator whose row and column norms are known is checked entry by entry, with
/// ρ_i = ‖Aᵀe_i‖, c_j = ‖A e_j‖, r = b − A x, d = x − x0 and g = Aᵀr − λ²d:
/// <code>
///   A x = b         |r_i| ≤ btol |b_i| + atol ρ_i ‖x‖           for every row
///   x minimises     |g_j| ≤ atol (c_j ‖r‖ + λ² |d_j|)           for every column
/// </code>
/// with a slack, and an allowance for the round-off of r and g themselves. These are backward errors in which every row and
/// column may change by atol of its own size (Higham 2002, "Accuracy and Stability of Numerical Algorithms", sections 7.2
/// and 20.7). Other operators are checked by the norms of the whole.
/// </summary>
internal sealed class SolveAudit
{
    private const double Slack = 4;         // the recurrence's norms are estimates, and its ‖A‖ another one

    /// <summary>How many eps of the sizes that meet in a residual round-off may leave in it, after many iterations.</summary>
    public const double RoundoffAllowance = 100;

    private readonly LinearOperator A, products;
    private readonly Tensor b;
    private readonly Tensor? x0;
    private readonly double damp, roundoff;
    private readonly LsmrOptions options;
    private readonly LsmrRules rules;
    private readonly double[] bNorms, startFloors;
    private readonly EntryNorms? norms;
    private readonly SmallProblem? small;
    private readonly bool rowsAreGraded;
    private readonly double preconditioned;     // about the norm that a preconditioned iteration has; 0 without

    /// <param name="A">The operator that was solved with, not prepared.</param>
    /// <param name="b">The right-hand side, or several.</param>
    /// <param name="x0">The start that decides the answer, if there is one.</param>
    /// <param name="damp">λ.</param>
    /// <param name="options">Those of the solve.</param>
    /// <param name="norms">Those of A's rows and columns, where they are known.</param>
    /// <param name="small">The problem by dense algebra, where it is small.</param>
    public SolveAudit(LinearOperator A, Tensor b, Tensor? x0, double damp, LsmrOptions options, EntryNorms? norms, SmallProblem? small)
    {
        (this.A, this.b, this.x0, this.damp, this.options, this.small) = (A, b, x0, damp, options, small);
        products = A.Prepare();
        rules = new LsmrRules(options, A, damp);
        roundoff = RoundoffAllowance * Vectors.Epsilon(A.dtype);
        bNorms = Vectors.Norms(b, Count);
        startFloors = StartFloors(x0, Count, A.dtype);
        bool isKnown = norms is { } all && double.IsFinite(Vectors.Norm(all.Rows)) && double.IsFinite(Vectors.Norm(all.Columns));
        this.norms = isKnown ? norms : null;
        rowsAreGraded = isKnown && AreGraded(norms!.Value.Rows, Vectors.Epsilon(A.dtype));
        if (!isKnown && options.Preconditioner is { } P)
            preconditioned = Augmented.Norm(P is SketchedInverse sketch ? sketch.Inverse : A * P);
    }

    /// <summary>
    /// The size of x under which it is zero, eps³ ‖x0‖ for each column: each refinement of an x that is zero beside x0 leaves
    /// about eps of it, for ever.
    /// </summary>
    public static double[] StartFloors(Tensor? x0, int count, ScalarType dtype) =>
        x0 is null ? new double[count] : [.. Vectors.Norms(x0, count).Select(norm => Math.Pow(Vectors.Epsilon(dtype), 3) * norm)];

    private int Count => b.dim() > A.OutputShape.Count ? (int)b.shape[^1] : 1;

    /// <summary>What the residuals of an x show, a verdict a column in a unit, and the norms of all together.</summary>
    public sealed record Finding(Verdict[] Columns, double Unit, LsmrAudit Norms);

    /// <summary>Of one column.</summary>
    /// <param name="Stop">The reason to stop that holds, or <see cref="LsmrStop.NotConfirmed"/>.</param>
    /// <param name="Excess">The worst ratio of what was found to what is allowed; at most 1 where it is confirmed.</param>
    /// <param name="ResidualNorm">‖b − A x‖, in the finding's unit.</param>
    /// <param name="NormalResidualNorm">‖Aᵀr − λ²d‖, in the finding's unit.</param>
    public readonly record struct Verdict(LsmrStop Stop, double Excess, double ResidualNorm, double NormalResidualNorm);

    /// <summary>Checks every column that claims to be solved; the others keep their stop.</summary>
    /// <param name="run">The solve.</param>
    /// <param name="before">
    /// The x that it went on from, if it is a refinement: it was to go on to round-off, so that any x that holds is confirmed, whatever
    /// the stop.
    /// </param>
    public Finding Check(LsmrResult run, Tensor? before = null)
    {
        using var scope = NewDisposeScope();
        int count = run.Columns.Count;
        (Tensor x, double unit) = InRange(run);             // from here on b, x and r are in this unit
        Tensor right = unit == 1 ? b : Divided(b, unit), d = x0 is null ? x : x.sub(unit == 1 ? x0 : Divided(x0, unit));
        (Tensor r, Tensor image) = Augmented.Residual(products, right, x);
        double[] rNorms = Vectors.Norms(r, count);
        Tensor normal = InDigits(image, r, rNorms);
        double[] dNorms = Vectors.Norms(d, count), xNorms = Vectors.Norms(x, count);
        double[] mismatches = run.Iterations > 0
            ? Augmented.Mismatch(x, right.sub(r), r, normal, rNorms)
            : MismatchOfStart(r, normal, rNorms);
        Subtract(normal, d);
        double norm = run.Iterations > 0 ? run.NormEstimate : Augmented.Norm(products);
        double[] gNorms = Vectors.Norms(normal, count), sizes = [.. bNorms.Select(norm => norm / unit)];
        double[] growths = [.. run.Columns.Select(column => Math.Sqrt(Math.Max(1, column.Iterations)))];
        (double Residual, double Minimum)[] excesses = norms is { } known
            ? ByEntries(known, right, x, d, r, normal, rNorms, xNorms, sizes, growths, unit, CorrectedRows(run.Solution, before, unit))
            : ByNorms(norm, d, normal, rNorms, dNorms, xNorms, sizes, growths, unit, gNorms);

        var verdicts = new Verdict[count];
        for (int j = 0; j < count; j++) {
            LsmrStop stop = run.Columns[j].Stop;
            double excess = Math.Min(excesses[j].Residual, excesses[j].Minimum);
            if (IsClaim(stop) || (before is not null && stop != LsmrStop.NonFinite)) {
                double allowed = Slack * Math.Max(rules.Atol, roundoff) * (sizes[j] + 2 * norm * Math.Max(xNorms[j], startFloors[j] / unit));
                if (mismatches[j] > allowed)
                    excess = Math.Max(excess, mismatches[j] / allowed);
                stop = !(excess <= 1) ? LsmrStop.NotConfirmed
                    : stop == LsmrStop.StartIsSolution ? stop
                    : excesses[j].Residual <= 1 && (stop == LsmrStop.Residual || !(excesses[j].Minimum <= 1)) ? LsmrStop.Residual
                    : LsmrStop.LeastSquares;
            }
            verdicts[j] = new Verdict(stop, excess, rNorms[j], gNorms[j]);
        }
        double[] residuals = [.. rNorms.Zip(dNorms, (rNorm, dNorm) => unit * double.Hypot(rNorm, damp * dNorm))];
        return new Finding(verdicts, unit, new LsmrAudit(Together(residuals), unit * Together(gNorms)));
    }

    /// <summary>Whether a stop claims that x is a solution.</summary>
    public static bool IsClaim(LsmrStop stop) => stop is LsmrStop.Residual or LsmrStop.LeastSquares or LsmrStop.StartIsSolution;

    // A start that is said to be a solution has Aᵀr = 0, which a transpose that is none may have too: ⟨A z, r⟩ must be ⟨z, Aᵀr⟩ for
    // a random z. Relative to the size of x, which the caller's allowance is made for, as if z were x.
    private double[] MismatchOfStart(Tensor r, Tensor Atr, double[] rNorms)
    {
        using var generator = new Generator(1, CPU);
        Tensor z = randn([.. A.InputShape], float64, generator: generator).to(A.dtype).to(A.device);
        Tensor Az = Augmented.Product(products, z);
        double size = Vectors.Norm(Az), tolerance = Math.Max(rules.Atol, roundoff);
        if (size == 0)
            return new double[rNorms.Length];
        Tensor left = Az.to(float64).reshape(1, A.Rows).mm(Flat(r, A.Rows)), right = z.to(float64).reshape(1, A.Columns).mm(Flat(Atr, A.Columns));
        return [.. Vectors.ReadAll(left.sub(right)).Select((gap, j) =>
            rNorms[j] > 0 && Math.Abs(gap) > Slack * tolerance * size * rNorms[j] ? double.PositiveInfinity : 0)];
    }

    // A δ for a correction δ of x, where rows are so graded that Aᵀr, in which a large row's tolerance and round-off hide what
    // a small row says, shows nothing: x minimises if A δ is small in every row. Exact for a small problem; else what the last
    // refinement did. Null without either.
    private Tensor? CorrectedRows(Tensor x, Tensor? before, double unit)
    {
        if (!rowsAreGraded)
            return null;
        if (small is not null)
            return small.Image(b, x, x0) is { } found ? Divided(found.Image, unit / found.Unit) : null;
        if (before is null)
            return null;
        Tensor step = Divided(x.sub(before), unit);
        return Flat(Augmented.Product(products, step), A.Rows);
    }

    // Entry by entry; the round-off of g is that of r, which Aᵀ multiplies.
    private (double, double)[] ByEntries(EntryNorms known, Tensor right, Tensor x, Tensor d, Tensor r, Tensor normal,
        double[] rNorms, double[] xNorms, double[] sizes, double[] growths, double unit, Tensor? corrected)
    {
        Tensor rows = known.Rows.reshape(A.Rows, 1), columns = known.Columns.reshape(A.Columns, 1);
        Tensor found = Flat(r, A.Rows), weights = rows.mul(Row([.. xNorms.Zip(startFloors, (norm, floor) => Math.Max(norm, floor / unit))])), sides = Flat(right, A.Rows);
        Tensor byRows = Allowed(sides, Row(Each(growths, _ => Slack * rules.Btol + roundoff)),
            weights, Row(Each(growths, growth => Slack * rules.Atol * growth + roundoff)));
        double[] residual = Worst(found, byRows);
        if (damp > 0) {             // then λ d are rows too
            double[] dNorms = Vectors.Norms(d, sizes.Length);
            double size = Vectors.Norm(known.Columns);
            residual = [.. residual.Select((worst, j) => Math.Max(worst,
                Ratio(damp * dNorms[j], Slack * (rules.Btol * sizes[j] + rules.Atol * growths[j] * size * xNorms[j]))))];
        }

        if (rowsAreGraded)
            return [.. residual.Zip(corrected is null ? Each(sizes, _ => double.PositiveInfinity) : Worst(corrected, byRows))];
        Tensor g = Flat(normal, A.Columns), pull = Flat(d, A.Columns);
        double lambda = damp * damp;
        double[] weighted = Vectors.Norms(weights, sizes.Length);
        Tensor ofColumns = Row([.. rNorms.Select((norm, j) => Slack * rules.Atol * growths[j] * norm + roundoff * (sizes[j] + weighted[j]))]);
        Tensor ofPull = Row(Each(growths, growth => lambda * (Slack * rules.Atol * growth + roundoff)));
        double[] minimum = Worst(g, Allowed(columns, ofColumns, pull, ofPull));
        return [.. residual.Zip(minimum)];

        Tensor Row(double[] numbers) => tensor(numbers, float64).to(A.device);
    }

    // By the norms of the whole, in x or, with a preconditioner, in y.
    private (double, double)[] ByNorms(double norm, Tensor d, Tensor normal, double[] rNorms, double[] dNorms, double[] xNorms,
        double[] sizes, double[] growths, double unit, double[] gNorms)
    {
        double lambda = damp * damp;
        double[] pulls = dNorms, own = Each(xNorms, _ => norm);
        if (options.Preconditioner is { } P) {      // then the iteration's norms are those in y, of A P and Pᵀg
            gNorms = Vectors.Norms(Augmented.TransposedProduct(P, normal.to(A.dtype)), sizes.Length);
            pulls = Vectors.Norms(Augmented.TransposedProduct(P, d), sizes.Length);
            own = Each(xNorms, _ => preconditioned);
        }
        double size = double.Hypot(norm, damp);
        return [.. Enumerable.Range(0, sizes.Length).Select(j => {
            double magnitude = sizes[j] + double.Hypot(own[j], damp) * Math.Max(xNorms[j], startFloors[j] / unit);
            double residual = Ratio(double.Hypot(rNorms[j], damp * dNorms[j]),
                Slack * (rules.Btol * sizes[j] + rules.Atol * growths[j] * size * xNorms[j]) + roundoff * magnitude);
            double minimum = Ratio(gNorms[j],
                (Slack * rules.Atol * growths[j]) * (norm * rNorms[j] + lambda * pulls[j]) + roundoff * (size * magnitude + lambda * pulls[j]));
            return (residual, minimum);
        })];
    }

    // p |a| + q |b|, with factors for each column.
    private static Tensor Allowed(Tensor a, Tensor p, Tensor b, Tensor q) => Vectors.Sum(a.abs().mul(p), b.abs().mul(q));

    // The largest |found| / allowed of each column; 0 where both are, infinity where something was found that is not finite.
    private static double[] Worst(Tensor found, Tensor allowed)
    {
        if (found.numel() == 0)
            return new double[found.shape[1]];
        using Scalar infinity = double.PositiveInfinity, zero = 0.0;
        Tensor ratios = found.abs().div(allowed).masked_fill(found.eq(zero), zero).nan_to_num(double.PositiveInfinity, double.PositiveInfinity);
        return Vectors.ReadAll(ratios.amax(0));
    }

    private static double Ratio(double found, double allowed) => found == 0 ? 0 : double.IsNaN(found) ? double.PositiveInfinity : found / allowed;

    private Tensor Flat(Tensor x, long length) => x.to(float64).reshape(length, Count);

    private static double[] Each(double[] of, Func<double, double> value) => [.. of.Select(value)];

    /// <summary>
    /// Whether the round-off of the largest row could hide what others say: (ρ_i / ρ_max)² under eps^(2/3), in which a relative error of
    /// eps^(1/3) in x could pass for round-off.
    /// </summary>
    public static bool AreGraded(Tensor rows, double eps)
    {
        if (rows.numel() == 0)
            return false;
        using var scope = NewDisposeScope();
        double largest = Vectors.Read(rows.max());
        using Scalar small = 2 * Math.Cbrt(eps) * largest, zero = 0.0;
        return rows.lt(small).logical_and_(rows.gt(zero)).any().item<bool>();
    }

    // x in a power of two in which products of the norms of A, r and g stay in range; 1 for most problems.
    private (Tensor X, double Unit) InRange(LsmrResult run)
    {
        double size = bNorms.Append(run.ResidualNorm).Where(double.IsFinite).DefaultIfEmpty(0).Max();
        double range = A.dtype == ScalarType.Float32 ? 1e15 : 1e100;
        if (size == 0 || (size < range && size > 1 / range))
            return (run.Solution, 1);
        double unit = EntryNorms.Unit(size);
        if (A.dtype == ScalarType.Float32)
            unit = Math.Clamp(unit, Math.ScaleB(1, -120), Math.ScaleB(1, 120));
        return (Divided(run.Solution, unit), unit);
    }

    private static Tensor Divided(Tensor x, double unit)
    {
        Tensor scaled = Vectors.Copy(x);
        Vectors.Divide(scaled, unit);
        return scaled;
    }

    // Aᵀr in float64; where the dtype has not all its digits, from r / ‖r‖.
    private Tensor InDigits(Tensor image, Tensor r, double[] rNorms)
    {
        double least = A.dtype == ScalarType.Float32 ? 1e-30 : 1e-290;
        if (Vectors.Norms(image, rNorms.Length).Zip(rNorms).All(pair => pair.Second == 0 || (double.IsFinite(pair.First) && pair.First > least)))
            return image.to(float64);
        Tensor direction = Vectors.Copy(r);
        Vectors.Divide(direction, rNorms);
        Tensor scaled = Augmented.TransposedProduct(products, direction).to(float64).clone();
        Vectors.Scale(scaled, rNorms);
        return scaled;
    }

    // g = Aᵀr − λ²d
    private void Subtract(Tensor normal, Tensor d)
    {
        if (damp == 0)
            return;
        Tensor pull = d.to(float64).clone();
        Vectors.Scale(pull, damp);
        Vectors.AddScaled(normal, -damp, pull);
    }

    private static double Together(double[] values) =>
        values.Length == 1 ? values[0] : Math.Sqrt(values.Sum(value => value * value));
}
