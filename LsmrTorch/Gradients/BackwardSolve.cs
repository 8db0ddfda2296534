using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// What the backward pass needs of an incoming gradient g, with r = b − A x, d = x − x0:
/// <code>
///   p = A (AᵀA + λ²I)⁻¹ g  (λ = 0: A⁺ᵀ g)     s = g − Aᵀp     w: (AᵀA + λ²I) w = g  (λ = 0: A⁺ p)     y = A⁺ᵀ d
///
///   ∂L/∂b = p      ∂L/∂x0 = s      ∂L/∂λ = −2 λ wᵀd
///   ∂L/∂A = r wᵀ − p xᵀ                        λ > 0, any shape and rank
///   ∂L/∂A = r wᵀ − p xᵀ + y sᵀ                 λ = 0, for changes of A that keep its rank
/// </code>
/// With λ > 0: differentiate Aᵀ(b − A x) = λ²(x − x0), and pair with g; s = λ²w then. With λ = 0 this is the derivative of the
/// pseudo-inverse (Golub and Pereyra 1973): the last term vanishes for full column rank (s = 0), the first for full row rank
/// (r = 0). As ∂L/∂θ = ∇θ [⟨r, A(θ) w⟩ − ⟨p, A(θ) x⟩ + ⟨y, A(θ) s⟩] with all else held fixed, A(θ)ᵀr, A(θ)x and
/// A(θ)ᵀy, recorded after the forward solve, get the cotangents w, −p and s.
/// </summary>
/// <remarks>
/// One CRAIGMR run on Aᵀ gives p and w for λ > 0 and for full column rank. An undamped tall A with dependent columns is found by it,
/// since CRAIGMR then stops with what is left of g orthogonal to A's rows: p and s are right, and w, if r asks for it, and y
/// take a run each.
/// </remarks>
internal sealed class BackwardSolve(LinearOperator A, double damp, LsmrOptions options)
{
    /// <summary>Refinements towards <see cref="GradientOptions.ErrorTarget"/>; each gains several digits, until round-off.</summary>
    private const int MostRefinements = 6;

    private readonly GradientOptions settings = options.Gradient;

    /// <summary>False where an unconverged solve of the forward pass was let through: the gradients are then NaN.</summary>
    public bool ForwardConverged { get; set; } = true;

    /// <summary>Whether a tensor that the operator uses requires a gradient.</summary>
    public bool NeedsOperator { get; init; }

    /// <summary>Whether x0 requires a gradient.</summary>
    public bool NeedsStart { get; init; }

    /// <summary>Whether λ is a tensor that requires a gradient.</summary>
    public bool NeedsDamp { get; init; }

    /// <summary>Whether A(θ)ᵀr was recorded, and so w is needed even where λ is a number.</summary>
    public bool NeedsW { get; set; }

    /// <summary>Whether A(θ)ᵀy was recorded.</summary>
    public bool HasY { get; set; }

    /// <summary>The operator that was solved with; the node saves the tensors that it holds and puts them in their place again.</summary>
    public LinearOperator Operator => A;

    public double Damp => damp;

    public Unconverged WhenUnconverged => settings.WhenUnconverged;

    /// <summary>Where the report goes.</summary>
    public GradientReports Reports { get; } = new();

    /// <summary>
    /// What the forward pass kept: x, d, and r where the operator needs a gradient; and products by which to know the
    /// map again.
    /// </summary>
    public readonly record struct Forward(Tensor? X, Tensor? D, Tensor? R, MapWitness? Witness);

    /// <summary>p, w (where it was solved for) and s; y where A(θ)ᵀy was not recorded and is still to be.</summary>
    public readonly record struct Adjoint(Tensor P, Tensor? W, Tensor S, Tensor? Y);

    /// <summary>Solves for g with an operator that stands for A. The tensors belong to the current dispose scope.</summary>
    /// <exception cref="LsmrException">A solve did not converge, unless that is accepted; or the gradient to A is not available.</exception>
    /// <exception cref="ArgumentException">The operator is not the one that was solved with.</exception>
    public Adjoint Solve(LinearOperator current, Tensor g, Forward forward)
    {
        if (!ForwardConverged)
            throw new LsmrException("A solve of the forward pass did not converge.");
        var runs = new BackwardRuns(current, damp, options);
        var audit = new GradientAudit(this, runs, g, forward, settings);
        LinearOperator products = current.Prepare();
        bool repeats = forward.Witness?.Holds(products, settings) ?? true;
        Adjoint adjoint = damp > 0 || current.Rows >= current.Columns
            ? ByOneRun(current, products, runs, audit, g, forward)
            : BySeparateRuns(current, products, runs, audit, g, forward, null);
        if (!repeats)
            Reports.Last = Reports.Last! with { Kind = GradientErrorKind.Unknown };
        return adjoint;
    }

    // p and w together, from the last step's w where there is one.
    private Adjoint ByOneRun(LinearOperator current, LinearOperator products, BackwardRuns runs, GradientAudit audit, Tensor g, Forward forward)
    {
        double tolerance = settings.ToleranceIn(g.dtype);
        Tensor? begun = options.WarmStart?.Adjoint(g.shape, current);
        (Tensor? p, Tensor? w, Tensor rest) = begun is null ? (null, null, g) : Begin(products, begun, g);
        (Tensor dp, Tensor dw, CraigmrResult run) = runs.Pair(rest, Relative(tolerance * Vectors.Norm(g), rest));
        if (run.Stop == CraigmrStop.Inconsistent) {     // g is not in the row space of an undamped A: dp is right, dw means nothing
            if (options.Preconditioner is not null)
                throw new LsmrException("A preconditioner is for independent columns or damping, but the undamped operator's columns are dependent.");
            return BySeparateRuns(current, products, runs, audit, g, forward, begun is null ? dp : null);
        }
        if (!options.Audit || run.Stop == CraigmrStop.NonFinite)
            runs.Accept(run.Converged, run);
        (p, w) = (Sum(p, dp), Sum(w, dw));

        if (options.Audit) {
            var bounds = new GradientErrors(products, damp, runs.Norm, runs.Smallest);
            GradientErrors.Backward errors = bounds.OfOneRun(g, p, w, tolerance);
            GradientReport report = audit.Report(bounds, errors, p, w, null, null);
            for (int i = 0; i < MostRefinements && audit.Misses(report); i++) {     // solves for the true residual
                double before = report.WorstRelative;
                (dp, dw, run) = runs.Pair(errors.Residual, Math.Min(0.5, 0.1 * settings.ErrorTarget!.Value / before));
                (p, w) = (Sum(p, dp), Sum(w, dw));
                errors = bounds.OfOneRun(g, p, w, tolerance);
                report = audit.Report(bounds, errors, p, w, null, null);
                if (!(report.WorstRelative < 0.9 * before))
                    break;
            }
            Reports.Last = report;
            audit.Confirm(run, errors, report, tolerance, w, options.Preconditioner is not null);
        } else {
            Reports.Last = audit.Unaudited();
        }
        options.WarmStart?.KeepAdjoint(w);
        Tensor s = w.clone();
        Vectors.Scale(s, damp * damp);                              // s = lambda^2 w; exactly 0 for full column rank
        return new Adjoint(p, w, s, null);
    }

    // lambda = 0 and g has a part outside the row space of A: p, and then w and y as they are needed.
    private Adjoint BySeparateRuns(LinearOperator current, LinearOperator products, BackwardRuns runs, GradientAudit audit, Tensor g, Forward forward, Tensor? found)
    {
        Tensor p = found ?? runs.Minimise(current.T, g);
        Tensor s = g.sub(Augmented.TransposedProduct(products, p));
        Tensor? w = !NeedsW ? null : IsNegligible(forward, runs.Smallest) ? zeros_like(g) : runs.Minimise(current, p);
        Tensor? y = null;
        if (NeedsOperator && !HasY) {
            if (!current.HoldsAll)
                throw new LsmrException("The undamped operator has dependent columns, against what GradientOptions.FullColumnRank says or a short solve found, so the gradient to its tensors needs more than was recorded: set FullColumnRank to false, or use a damping above zero.");
            y = runs.Minimise(current.T, forward.D!);
        }
        if (options.Audit) {
            var bounds = new GradientErrors(products, 0, runs.Norm, runs.Smallest);
            Reports.Last = audit.Report(bounds, bounds.OfSeparateRuns(g, p, s, w, y, forward.D), p, w, s, y);
        } else {
            Reports.Last = audit.Unaudited();
        }
        return new Adjoint(p, w, s, y);
    }

    // r wᵀ is dropped by its size: ‖w‖ is at most ‖p‖ / sigma, and the term stands beside p xᵀ.
    private static bool IsNegligible(Forward forward, double smallest) =>
        forward is { R: { } r, X: { } x } && Vectors.Norm(r) <= 3 * Vectors.Epsilon(r.dtype) * Vectors.Norm(x) * smallest;

    /// <summary>y = A⁺ᵀ d, solved in the forward pass where A(θ)ᵀy must be recorded there; null where the gradients will be NaN.</summary>
    /// <exception cref="LsmrException">The solve did not converge, and that is to throw.</exception>
    public Tensor? MultiplierOfStart(Tensor d)
    {
        if (!ForwardConverged)
            return null;
        try {
            return new BackwardRuns(A, damp, options).Minimise(A.T, d);
        } catch (LsmrException) when (settings.WhenUnconverged == Unconverged.NaN) {
            ForwardConverged = false;
            return null;
        }
    }

    // The multiple of the last w that leaves least of g: p = A w, rest = g − Aᵀp − λ²w.
    private (Tensor P, Tensor W, Tensor Left) Begin(LinearOperator products, Tensor last, Tensor g)
    {
        Tensor w = last.clone(), p = Augmented.Product(products, w).clone(), image = Augmented.TransposedProduct(products, p).clone();
        Vectors.AddScaled(image, damp * damp, w);
        double size = Vectors.Norm(image);
        double c = size > 0 && double.IsFinite(size) ? Vectors.Dot(g, image) / size / size : 0;
        Vectors.Scale(w, c);
        Vectors.Scale(p, c);
        Vectors.ScaleAdd(image, -c, g);
        return (p, w, image);
    }

    private static double Relative(double absolute, Tensor rest)
    {
        double size = Vectors.Norm(rest);
        return size > 0 ? Math.Min(0.5, absolute / size) : 0.5;
    }

    private static Tensor Sum(Tensor? before, Tensor more) => before is null ? more : Vectors.Sum(before, more);
}
