using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>A whole solve: LSMR from a warm start, in the variables of a preconditioner, audited, and refined where that fails.</summary>
internal sealed class ForwardSolve(LinearOperator A, Tensor b, Tensor? x0, double damp, LsmrOptions options)
{
    private const int MostRefinements = 4;

    /// <summary>Solves under <c>no_grad()</c>; arguments are checked by the caller. The solution is in the caller's dispose scope.</summary>
    public static LsmrResult Solve(LinearOperator A, Tensor b, Tensor? x0, double damp, LsmrOptions options)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var solve = new ForwardSolve(A, b, x0, damp, options);
        Tensor? start = solve.WarmStart();
        LsmrResult result = solve.From(start, options);
        if (options.Audit)
            result = solve.Audited(result, isWarm: start is not null);
        if (result.Converged)
            options.WarmStart?.KeepSolution(result.Solution);
        return result with { Solution = scope.MoveToOuter(result.Solution) };
    }

    /// <summary>
    /// Whether an operator has independent columns, by whether CRAIGMR finds a combination of its rows for a random vector. A few
    /// digits suffice: what cannot be reached is of the size of the vector's share in the null space, about 1/√n of it for each dimension.
    /// </summary>
    public static bool HasFullColumnRank(LinearOperator A)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using var generator = new Generator(1, CPU);
        Tensor z = randn([.. A.InputShape], float64, generator: generator).to(A.dtype).to(A.device);
        CraigmrResult run = Craigmr.Solve(A.T, z, new CraigmrOptions { Tolerance = Math.Min(1e-3, 0.1 / Math.Sqrt(A.Columns)) });
        return run.Converged;
    }

    /// <summary>The same, measured once for a cache and an operator of this size.</summary>
    public static bool HasFullColumnRank(LinearOperator A, WarmStart? cache)
    {
        bool full = cache?.FullColumnRank(A) ?? HasFullColumnRank(A);
        cache?.KeepRank(A, full);
        return full;
    }

    // The multiple of the last solution that fits b best; none where that is no better than zero, nor where it would decide which
    // of many solutions is found.
    private Tensor? WarmStart()
    {
        if (options.WarmStart?.Solution([.. A.InputShape, .. b.shape[A.OutputShape.Count..]], A) is not { } last)
            return null;
        if (damp == 0) {
            bool isKnown = options.WarmStart.FullColumnRank(A) is not null;
            if (!HasFullColumnRank(A, options.WarmStart)) {
                if (!isKnown)
                    Diagnostics.Warn("The undamped operator has dependent columns, so that its solves cannot begin from the last solution; they begin anew.");
                return null;
            }
        }
        return LsmrTorch.WarmStart.Scaled(last, A, b, x0, damp);
    }

    private LsmrResult From(Tensor? start, LsmrOptions settings) =>
        settings.Preconditioner is { } P ? Preconditioned(P, start, settings)
        : start is null ? PlainLsmr.Solve(A, b, x0, damp, settings)
        : damp == 0 ? PlainLsmr.Solve(A, b, start, 0, settings)
        : Stacked(start, settings);

    // The solution of min ‖A x − b‖² + λ²‖x − x0‖² is that of [A; λI] x = [b; λ x0], where the start decides nothing.
    private LsmrResult Stacked(Tensor start, LsmrOptions settings)
    {
        (LinearOperator M, Tensor rhs) = Augmented.Problem(A, b, x0, damp);
        return PlainLsmr.Solve(M, rhs, start, 0, settings, new LsmrRules(settings, M, damp));
    }

    // x = s + P y with s = x0, the start or the sketch's guess (which decides nothing); λ‖x − x0‖ becomes rows.
    private LsmrResult Preconditioned(LinearOperator P, Tensor? begun, LsmrOptions settings)
    {
        (LinearOperator M, Tensor rhs) = damp > 0 ? Augmented.Problem(A, b, x0, damp) : (A, b);
        Tensor? start = begun ?? x0;
        if (begun is null && P is SketchedInverse sketch && sketch.Guess(x0 is null ? b : b.sub(Augmented.Product(A, x0))) is Tensor guess)
            start = x0 is null ? guess : x0.add(guess);
        Tensor? image = null;
        if (start is not null) {
            (rhs, Tensor normal) = Augmented.Residual(M, rhs, start);
            image = Vectors.Copy(Augmented.TransposedProduct(P, normal));
        }
        LsmrResult run = PlainLsmr.Solve(M * P, rhs, null, 0, settings, new LsmrRules(settings, M, damp), image);
        Tensor x = Augmented.Product(P, run.Solution);
        if (start is not null)
            x = x.add(start);
        double[] norms = Vectors.Norms(x, run.Columns.Count);
        return run with { Solution = x, Columns = [.. run.Columns.Select((column, j) => column with { SolutionNorm = norms[j] })] };
    }

    // Columns that claim to be solved and are not confirmed are solved on from their x, as long as that gains.
    private LsmrResult Audited(LsmrResult run, bool isWarm)
    {
        if (!run.Columns.Any(column => SolveAudit.IsClaim(column.Stop)))
            return run;
        SmallProblem? small = SmallProblem.Of(A, damp, run.Iterations);
        if (isWarm && damp == 0 && small is { HasFullColumnRank: false }) {
            options.WarmStart!.KeepRank(A, false);      // it was measured for an operator of this size, and A has changed since
            return Audited(From(null, options), isWarm: false);
        }
        EntryNorms? norms = small?.Norms ?? A.Norms();
        SolveAudit.Finding finding = Audit(norms, small).Check(run);
        for (int i = 0; i < MostRefinements && finding.Columns.Any(column => column.Stop == LsmrStop.NotConfirmed); i++) {
            (run, finding, bool gained) = Refined(run, finding, norms, small);
            if (!gained)
                break;
        }
        double[] errors = small?.Errors(b, run.Solution, x0)
            ?? ForwardError.ByNorms(run, finding, Vectors.Norms(b, run.Columns.Count), damp, A.dtype,
                options.Preconditioner is { } P ? (Augmented.Norm(A.Prepare()), Augmented.Norm(P, 4)) : null);
        // Where dense algebra shows that x has not two digits, and no loose tolerance allows that, a small backward error confirms
        // nothing.
        var rules = new LsmrRules(options, A, damp);
        double worst = Math.Max(0.01, 1e5 * Math.Max(rules.Atol, rules.Btol));
        return run with {
            Columns = [.. run.Columns.Select((column, j) => column with {
                Stop = SolveAudit.IsClaim(finding.Columns[j].Stop) && small is not null && !(errors[j] <= worst)
                    ? LsmrStop.NotConfirmed : finding.Columns[j].Stop,
                ErrorEstimate = errors[j],
            })],
            Audit = finding.Norms,
        };
    }

    private SolveAudit Audit(EntryNorms? norms, SmallProblem? small) => new(A, b, x0, damp, options, norms, small);

    // Refinement iterates with columns of norm 1 where they differ much and the answer does not depend on it.
    private LinearOperator? Scaling(EntryNorms? norms, SmallProblem? small)
    {
        const double Graded = 10;
        if (options.Preconditioner is not null || norms is not { } known || (damp == 0 && A.Rows < A.Columns))
            return options.Preconditioner;
        using Scalar zero = 0.0, one = 1.0;
        using Scalar damping = damp;
        Tensor columns = known.Columns.hypot(full_like(known.Columns, damping)).reshape([.. A.InputShape]);
        Tensor scales = columns.masked_fill(columns.eq(zeros_like(columns)), one);
        double ratio = Vectors.Read(scales.max()) / Vectors.Read(scales.min());
        if (!(ratio > Graded) || !double.IsFinite(ratio))
            return null;
        Tensor inverses = scales.reciprocal().to(A.dtype);
        if (!double.IsFinite(Vectors.Norm(inverses)))
            return null;
        LinearOperator P = LinearOperator.Diagonal(inverses);
        return damp > 0 || (small?.HasFullColumnRank ?? HasFullColumnRank(A * P)) ? P : null;
    }

    // Iterates the columns that are not confirmed from where they are, to round-off, and takes what became better.
    private (LsmrResult Run, SolveAudit.Finding Finding, bool Gained) Refined(
        LsmrResult run, SolveAudit.Finding finding, EntryNorms? norms, SmallProblem? small)
    {
        long limit = options.MaxIterations ?? LsmrRules.DefaultLimit(A);
        long budget = Math.Min(limit - run.Iterations, Math.Max(2L * run.Iterations, Math.Min(A.Rows, A.Columns) + 10));
        if (budget <= 0)
            return (run, finding, false);
        int before = run.Iterations;
        var toRoundoff = options with {
            Atol = 0,
            Btol = 0,
            MaxIterations = (int)budget,
            WarmStart = null,
            Preconditioner = Scaling(norms, small),
            StopWhen = options.StopWhen is { } stopWhen ? progress => stopWhen(progress with { Iteration = before + progress.Iteration }) : null,
        };
        long[] open = [.. Enumerable.Range(0, run.Columns.Count).Where(j => finding.Columns[j].Stop == LsmrStop.NotConfirmed).Select(j => (long)j)];
        bool isAll = open.Length == run.Columns.Count;
        Tensor Open(Tensor x) => isAll ? x : Vectors.Columns(x, open);
        ForwardSolve part = isAll ? this : new ForwardSolve(A, Open(b), x0 is null ? null : Open(x0), damp, options);
        LsmrResult more = part.From(Open(run.Solution), toRoundoff);
        SolveAudit.Finding found = part.Audit(norms, small).Check(more, Open(run.Solution));

        var columns = run.Columns.ToArray();
        var verdicts = finding.Columns.ToArray();
        Tensor x = run.Solution.clone();
        bool gained = false;
        for (int i = 0; i < open.Length; i++) {
            int j = (int)open[i];
            columns[j] = columns[j] with { Iterations = columns[j].Iterations + more.Columns[i].Iterations };
            if (more.Columns[i].Stop == LsmrStop.Requested)
                verdicts[j] = verdicts[j] with { Stop = LsmrStop.Requested };
            // An x that is zero beside its start shrinks with its residual, which then is what tells.
            (SolveAudit.Verdict now, SolveAudit.Verdict then) = (found.Columns[i], verdicts[j]);
            bool shrinks = now.NormalResidualNorm * found.Unit < 0.5 * then.NormalResidualNorm * finding.Unit;
            if (!(now.Excess < then.Excess || shrinks))
                continue;
            gained |= shrinks || now.Excess < 0.5 * then.Excess;
            LsmrColumn better = more.Columns[i];
            columns[j] = better with { Iterations = columns[j].Iterations };
            double unit = found.Unit / finding.Unit;
            verdicts[j] = now with {
                ResidualNorm = now.ResidualNorm * unit,
                NormalResidualNorm = now.NormalResidualNorm * unit,
                Stop = better.Stop == LsmrStop.Requested ? LsmrStop.Requested : now.Stop,
            };
            if (isAll && open.Length == 1)
                x = more.Solution;
            else
                x.select(-1, j).copy_(more.Solution.select(-1, i));
        }
        run = run with {
            Solution = x,
            Columns = columns,
            ConditionEstimate = Math.Max(run.ConditionEstimate, more.ConditionEstimate),
            Elapsed = run.Elapsed + more.Elapsed,
        };
        return (run, new SolveAudit.Finding(verdicts, finding.Unit, Audit(norms, small).Check(run).Norms), gained);
    }
}
