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
    private int runs, iterations;
    private double norm, smallest;

    /// <summary>False where an unconverged solve of the forward pass was let through: the gradients are then NaN.</summary>
    public bool ForwardConverged { get; set; } = true;

    /// <summary>Whether a tensor that the operator uses requires a gradient.</summary>
    public bool NeedsOperator { get; init; }

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

    /// <summary>What the forward pass kept: x, d, and r where the operator needs a gradient.</summary>
    public readonly record struct Forward(Tensor? X, Tensor? D, Tensor? R);

    /// <summary>p, w (where it was solved for) and s; y where A(θ)ᵀy was not recorded and is still to be.</summary>
    public readonly record struct Adjoint(Tensor P, Tensor? W, Tensor S, Tensor? Y);

    /// <summary>Solves for g with an operator that stands for A. The tensors belong to the current dispose scope.</summary>
    /// <exception cref="LsmrException">A solve did not converge, unless that is accepted; or the gradient to A is not available.</exception>
    public Adjoint Solve(LinearOperator current, Tensor g, Forward forward)
    {
        Reports.Last = null;
        if (!ForwardConverged)
            throw new LsmrException("A solve of the forward pass did not converge.");
        (runs, iterations, norm, smallest) = (0, 0, 0, double.PositiveInfinity);
        LinearOperator products = current.Prepare();
        bool oneRunMayDo = damp > 0 || current.Rows >= current.Columns;
        return (oneRunMayDo ? ByOneRun(current, products, g, forward) : null)
            ?? BySeparateRuns(current, products, g, forward, null);
    }

    // p and w together, from the last step's w where there is one; null where g turns out to lie outside the row space of an undamped A.
    private Adjoint? ByOneRun(LinearOperator current, LinearOperator products, Tensor g, Forward forward)
    {
        Tensor? w = options.WarmStart?.Adjoint(g)?.clone(), p = null;
        Tensor rest = g;
        if (w is not null)
            (p, rest) = Begin(products, w, g);
        double tolerance = Math.Max(settings.Tolerance ?? (g.dtype == ScalarType.Float64 ? 1e-12 : 1e-6), 3 * Vectors.Epsilon(g.dtype));
        double size = Vectors.Norm(g);
        CraigmrResult run = Run(current, rest, Relative(tolerance * size, rest));
        if (run.Stop == CraigmrStop.Inconsistent)
            return options.Preconditioner is null
                ? BySeparateRuns(current, products, g, forward, w is null ? First(run, current) : null)
                : throw new LsmrException("A preconditioner is for independent columns or damping, but the undamped operator's columns are dependent.");
        if (!options.Audit || run.Stop == CraigmrStop.NonFinite)
            Accept(run.Converged, run);
        Add(current, run, ref p, ref w);

        if (options.Audit) {
            var bounds = new GradientErrors(products, damp, norm, smallest);
            GradientErrors.Backward errors = bounds.OfOneRun(g, p!, w!, tolerance);
            Report(bounds, errors, g, p!, w, null, null, forward, damp > 0 ? GradientErrorKind.Certified : GradientErrorKind.Estimated);
            for (int i = 0; i < MostRefinements && Misses(Reports.Last!); i++) {        // on the true residual
                double before = Reports.Last!.WorstRelative;
                run = Run(current, errors.Residual, Relative(0.1 * settings.ErrorTarget!.Value * Vectors.Norm(errors.Residual) / before, errors.Residual));
                Add(current, run, ref p, ref w);
                errors = bounds.OfOneRun(g, p!, w!, tolerance);
                Report(bounds, errors, g, p!, w, null, null, forward, GradientErrorKind.Certified);
                if (!(Reports.Last!.WorstRelative < 0.9 * before))
                    break;
            }
            Confirm(run, errors, tolerance * size, Vectors.Norm(w!), size);
        } else {
            Reports.Last = Unaudited();
        }
        options.WarmStart?.KeepAdjoint(w!);
        Tensor s = w!.clone();
        Vectors.Scale(s, damp * damp);                              // s = lambda^2 w; exactly 0 for full column rank
        return new Adjoint(p!, w, s, null);
    }

    // lambda = 0 and g has a part outside the row space of A: p, and then w and y as they are needed.
    private Adjoint BySeparateRuns(LinearOperator current, LinearOperator products, Tensor g, Forward forward, Tensor? found)
    {
        Tensor p = found ?? Minimise(current.T, g);
        Tensor s = g.sub(Augmented.TransposedProduct(products, p));
        Tensor? w = NeedsW && !IsNegligible(forward) ? Minimise(current, p) : null;
        if (w is null && NeedsW)
            w = zeros_like(g);
        Tensor? y = null;
        if (NeedsOperator && !HasY) {
            if (!current.HoldsAll)
                throw new LsmrException("The undamped operator has dependent columns, against what GradientOptions.FullColumnRank says or a short solve found, so the gradient to its tensors needs more than was recorded: set FullColumnRank to false, or use a damping above zero.");
            y = Minimise(current.T, forward.D!);
        }
        if (options.Audit) {
            var bounds = new GradientErrors(products, 0, norm, smallest);
            Report(bounds, bounds.OfSeparateRuns(g, p, s, w, y, forward.D), g, p, w, s, y, forward, GradientErrorKind.Estimated);
        } else {
            Reports.Last = Unaudited();
        }
        return new Adjoint(p, w, s, y);
    }

    // r wᵀ is dropped by size: ‖w‖ is at most ‖p‖ / sigma, and the term is beside p xᵀ.
    private bool IsNegligible(Forward forward) =>
        forward is { R: { } r, X: { } x } && Vectors.Norm(r) <= 3 * Vectors.Epsilon(r.dtype) * Vectors.Norm(x) * (double.IsFinite(smallest) ? smallest : 0);

    /// <summary>y = A⁺ᵀ d, solved in the forward pass where A(θ)ᵀy must be recorded there; null where the gradients will be NaN.</summary>
    /// <exception cref="LsmrException">The solve did not converge, and that is to throw.</exception>
    public Tensor? MultiplierOfStart(Tensor d)
    {
        if (!ForwardConverged)
            return null;
        try {
            return Minimise(A.T, d);
        } catch (LsmrException) when (settings.WhenUnconverged == Unconverged.NaN) {
            ForwardConverged = false;
            return null;
        }
    }

    // The multiple c of the last w that leaves least of g: p = A (c w), rest = g − Aᵀp − λ²(c w).
    private (Tensor P, Tensor Left) Begin(LinearOperator products, Tensor w, Tensor g)
    {
        Tensor p = Augmented.Product(products, w);
        Tensor image = Augmented.TransposedProduct(products, p).clone();
        Vectors.AddScaled(image, damp * damp, w);
        double size = Vectors.Norm(image);
        double c = size > 0 && double.IsFinite(size) ? Vectors.Dot(g, image) / (size * size) : 0;
        p = p.clone();
        Vectors.Scale(w, c);
        Vectors.Scale(p, c);
        Vectors.ScaleAdd(image, -c, g);
        return (p, image);
    }

    private CraigmrResult Run(LinearOperator current, Tensor rest, double tolerance)
    {
        var craigmr = new CraigmrOptions {
            Damp = options.Preconditioner is null ? damp : 0,
            Tolerance = tolerance,
            MaxIterations = settings.MaxIterations,
            Reorthogonalise = options.Reorthogonalise,
        };
        CraigmrResult run = options.Preconditioner is { } P
            ? Craigmr.Solve((Augmented.Operator(current, damp) * P).T, Augmented.TransposedProduct(P, rest), craigmr)
            : Craigmr.Solve(current.T, rest, craigmr);
        Count(run.Iterations);
        norm = Math.Max(norm, run.NormEstimate);
        if (run.SmallestEstimate > 0)
            smallest = Math.Min(smallest, run.SmallestEstimate);
        return run;
    }

    // p = p + what the run found, w likewise. With a preconditioner the run has [A; λI] P in place of A: its first rows are p, and w is P times its multiplier.
    private void Add(LinearOperator current, CraigmrResult run, ref Tensor? p, ref Tensor? w)
    {
        (Tensor dp, Tensor dw) = (First(run, current), options.Preconditioner is { } P ? Augmented.Product(P, run.Multiplier) : run.Multiplier);
        p = p is null ? dp : Vectors.Sum(p, dp);
        w = w is null ? dw : Vectors.Sum(w, dw);
    }

    private Tensor First(CraigmrResult run, LinearOperator current) =>
        options.Preconditioner is null || damp == 0
            ? run.Solution
            : run.Solution.narrow(0, 0, current.Rows).reshape([.. current.OutputShape, .. run.Solution.shape[1..]]);

    private static double Relative(double absolute, Tensor rest)
    {
        double size = Vectors.Norm(rest);
        return size > 0 ? Math.Min(0.5, absolute / size) : 0.5;
    }

    private Tensor Minimise(LinearOperator B, Tensor c)
    {
        double? tolerance = settings.Tolerance ?? (c.dtype == ScalarType.Float64 ? 1e-12 : null);
        var lsmr = new LsmrOptions {
            Atol = tolerance,
            Btol = tolerance,
            MaxIterations = settings.MaxIterations,
            Reorthogonalise = options.Reorthogonalise,
        };
        LsmrResult run = PlainLsmr.Solve(B, c, null, 0, lsmr, new LsmrRules(lsmr, B, 0) { ErrorOfOperatorIsAllowed = false });
        Count(run.Iterations);
        norm = Math.Max(norm, run.NormEstimate);
        if (run.Iterations > 0)
            smallest = Math.Min(smallest, run.NormEstimate / run.ConditionEstimate);
        Accept(run.Converged || (run.Stop == LsmrStop.IterationLimit && IsAtRoundoff(B, c, run)), run);
        return run.Solution;
    }

    // A run that came to its limit, but whose true ‖Bᵀ(c − B z)‖ is at round-off, is as good as one that converged.
    private static bool IsAtRoundoff(LinearOperator B, Tensor c, LsmrResult run)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        LinearOperator products = B.Prepare();
        Tensor rest = c.sub(Augmented.Product(products, run.Solution));
        double size = run.NormEstimate * (Vectors.Norm(c) + run.NormEstimate * run.SolutionNorm);
        return Vectors.Norm(Augmented.TransposedProduct(products, rest)) <= 100 * Vectors.Epsilon(c.dtype) * size;
    }

    private void Count(int more)
    {
        runs++;
        iterations += more;
    }

    private bool Misses(GradientReport report) => damp > 0 && settings.ErrorTarget is double target && !(report.WorstRelative <= target);

    private void Accept(bool converged, object run)
    {
        if (!converged && settings.WhenUnconverged != Unconverged.Accept)
            throw new LsmrException($"A solve for the gradients did not converge: {run} (GradientOptions has its tolerance and iteration limit).");
    }

    // The recursive residual sinks below the true one, which round-off of eps ‖A‖² ‖w‖ keeps up; beyond that a claim is false. A run that
    // came to its limit with the true one at round-off is as good as one that converged.
    private void Confirm(CraigmrResult run, GradientErrors.Backward errors, double claimed, double wNorm, double gNorm)
    {
        double found = Root(errors.Norms);
        double roundoff = 100 * Vectors.Epsilon(A.dtype) * ((norm * norm + damp * damp) * wNorm + gNorm);
        bool confirmed = (options.Preconditioner is not null && run.Converged) || found <= 4 * claimed + roundoff;
        if (settings.WhenUnconverged == Unconverged.Accept)
            return;
        Accept(run.Converged || confirmed, run);
        if (!errors.TransposeHolds)
            throw new LsmrException("The operator's transpose is none: ⟨A w, A w⟩ is not ⟨w, Aᵀ(A w)⟩, or the products are inexact beyond GradientOptions.Tolerance (LinearOperator.Verify tells).");
        if (!confirmed)
            throw new LsmrException($"A solve for the gradients claims a residual of {Text.Number(claimed)}, but recomputed it is {Text.Number(found)}: the products are inexact, or the transpose is none (LinearOperator.Verify tells).");
        if (Misses(Reports.Last!))
            throw new LsmrException($"The gradient's certified relative error is {Text.Number(Reports.Last!.WorstRelative)}, over the target of {Text.Number(settings.ErrorTarget!.Value)}: not certifiable in this precision (or the forward solve is not as exact).");
    }

    private void Report(GradientErrors bounds, GradientErrors.Backward errors, Tensor g, Tensor p, Tensor? w, Tensor? s, Tensor? y, Forward forward, GradientErrorKind kind)
    {
        int k = errors.Norms.Length;
        double[] pNorms = Vectors.Norms(p, k), wNorms = w is null ? new double[k] : Vectors.Norms(w, k), sNorms = s is null ? new double[k] : Vectors.Norms(s, k);
        double gNorm = Vectors.Norm(g);
        GradientError? ofDamp = null, ofOperator = null;
        double Sum(Func<int, double> term) => Enumerable.Range(0, k).Sum(term);
        if (forward is { X: { } x, D: { } d, R: { } r }) {
            (double[] ofX, double[] ofR) = bounds.OfForward(x, d, r);
            double[] xNorms = Vectors.Norms(x, k), rNorms = Vectors.Norms(r, k), dNorms = Vectors.Norms(d, k), yNorms = y is null ? new double[k] : Vectors.Norms(y, k);
            if (NeedsDamp && damp > 0)
                ofDamp = new GradientError(2 * damp * Sum(j => errors.OfW[j] * dNorms[j] + wNorms[j] * ofX[j]), 2 * damp * Math.Abs(Vectors.Dot(w!, d)));
            if (NeedsOperator) {
                double error = Sum(j => rNorms[j] * errors.OfW[j] + wNorms[j] * ofR[j] + pNorms[j] * ofX[j] + xNorms[j] * errors.OfP[j]
                    + yNorms[j] * errors.OfS[j] + sNorms[j] * errors.OfY[j]);
                ofOperator = new GradientError(error, NormOfOperatorGradient(p, w, s, y, x, r, k));
            }
        }
        double residual = Math.Sqrt(errors.Norms.Sum(n => n * n));
        double sNorm = s is null ? damp * damp * Root(wNorms) : Root(sNorms);
        var report = new GradientReport {
            Kind = kind,
            Runs = runs,
            Iterations = iterations,
            RelativeResidual = gNorm == 0 ? 0 : residual / gNorm / (s is null ? 1 : Math.Max(norm, double.Epsilon)),
            RightHandSide = new GradientError(Root(errors.OfP), Root(pNorms)),
            Start = new GradientError(Root(errors.OfS), sNorm),
            Damp = ofDamp,
            Operator = ofOperator,
        };
        bool proves = double.IsNaN(report.WorstRelative) || report.WorstRelative <= (settings.ErrorTarget ?? 1);
        Reports.Last = kind == GradientErrorKind.Certified && !proves ? report with { Kind = GradientErrorKind.NotCertifiable } : report;
    }

    private static double NormOfOperatorGradient(Tensor p, Tensor? w, Tensor? s, Tensor? y, Tensor x, Tensor r, int k)
    {
        Tensor Flat(Tensor t) => t.reshape(-1, k);
        var left = new List<Tensor> { Flat(p).neg() };
        var right = new List<Tensor> { Flat(x) };
        if (w is not null) {
            left.Add(Flat(r));
            right.Add(Flat(w));
        }
        if (y is not null && s is not null) {
            left.Add(Flat(y));
            right.Add(Flat(s));
        }
        return GradientErrors.NormOfProduct(cat(left, 1), cat(right, 1));
    }

    private static double Root(double[] norms) => Math.Sqrt(norms.Sum(norm => norm * norm));

    private GradientReport Unaudited() => new() { Kind = GradientErrorKind.Unknown, Runs = runs, Iterations = iterations, RelativeResidual = double.NaN };
}
