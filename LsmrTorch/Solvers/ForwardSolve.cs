using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>A whole solve: LSMR from a warm start, in the variables of a preconditioner, and audited.</summary>
internal static class ForwardSolve
{
    /// <summary>Solves under <c>no_grad()</c>; arguments are checked by the caller. The solution is in the caller's dispose scope.</summary>
    public static LsmrResult Solve(LinearOperator A, Tensor b, Tensor? x0, double damp, LsmrOptions options)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor? warm = options.WarmStart?.Solution([.. A.InputShape, .. b.shape[A.OutputShape.Count..]], A);
        if (warm is not null && damp == 0) {
            bool isKnown = options.WarmStart!.FullColumnRank(A) is not null;
            if (!HasFullColumnRank(A, options.WarmStart)) {
                warm = null;
                if (!isKnown)
                    Diagnostics.Warn("The undamped operator has dependent columns, so that its solves cannot begin from the last solution; they begin anew.");
            }
        }
        LsmrResult result =
            options.Preconditioner is { } P ? Preconditioned(A, P, b, x0, warm, damp, options)
            : warm is null ? PlainLsmr.Solve(A, b, x0, damp, options)
            : Warm(A, b, x0, warm, damp, options);
        if (options.Audit)
            result = Audited(result, A, b, x0, damp, options);
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

    // The solution of min ‖A x − b‖² + λ²‖x − x0‖² is that of [A; λI] x = [b; λ x0], where the start decides nothing.
    private static LsmrResult Warm(LinearOperator A, Tensor b, Tensor? x0, Tensor warm, double damp, LsmrOptions options)
    {
        if (damp == 0)
            return PlainLsmr.Solve(A, b, warm, 0, options);
        (LinearOperator M, Tensor rhs) = Augmented.Problem(A, b, x0, damp);
        return PlainLsmr.Solve(M, rhs, warm, 0, options, new LsmrRules(options, M, damp));
    }

    // x = s + P y with s = x0, the warm start or the sketch's guess (which decides nothing); λ‖x − x0‖ becomes rows.
    private static LsmrResult Preconditioned(LinearOperator A, LinearOperator P, Tensor b, Tensor? x0, Tensor? warm, double damp, LsmrOptions options)
    {
        (LinearOperator M, Tensor rhs) = damp > 0 ? Augmented.Problem(A, b, x0, damp) : (A, b);
        Tensor? start = warm ?? x0;
        if (warm is null && P is SketchedInverse sketch && sketch.Guess(x0 is null ? b : b.sub(Augmented.Product(A, x0))) is Tensor guess)
            start = x0 is null ? guess : x0.add(guess);
        Tensor? image = null;
        if (start is not null) {
            (rhs, Tensor normal) = Augmented.Residual(M, rhs, start);
            image = Vectors.Copy(Augmented.TransposedProduct(P, normal));
        }
        LsmrResult run = PlainLsmr.Solve(M * P, rhs, null, 0, options, new LsmrRules(options, M, damp), image);
        Tensor x = Augmented.Product(P, run.Solution);
        if (start is not null)
            x = x.add(start);
        double[] norms = Vectors.Norms(x, run.Columns.Count);
        return run with { Solution = x, Columns = [.. run.Columns.Select((column, j) => column with { SolutionNorm = norms[j] })] };
    }

    // What a column that claims to be solved must show, round-off of the residual's own computation allowed for. A wrong transpose
    // would agree with itself, so the products are held against each other too.
    private static LsmrResult Audited(LsmrResult result, LinearOperator A, Tensor b, Tensor? x0, double damp, LsmrOptions options)
    {
        if (!result.Columns.Any(column => column.Stop is LsmrStop.Residual or LsmrStop.LeastSquares))
            return result;
        using var scope = NewDisposeScope();
        int count = result.Columns.Count;
        Tensor x = result.Solution, d = x0 is null ? x : x.sub(x0);
        LinearOperator products = A.Prepare();
        (Tensor r, Tensor normal) = Augmented.Residual(products, b, x);
        double[] rNorms = Vectors.Norms(r, count), mismatches = Augmented.Mismatch(x, b.sub(r), r, normal, rNorms);
        Vectors.AddScaled(normal, -damp * damp, d);
        double[] bNorms = Vectors.Norms(b, count), dNorms = Vectors.Norms(d, count), normals = Vectors.Norms(normal, count);
        double[] residuals = [.. rNorms.Zip(dNorms, (rNorm, dNorm) => double.Hypot(rNorm, damp * dNorm))];

        double size = double.Hypot(result.NormEstimate, damp);
        double[] startNorms = x0 is null ? new double[count] : Vectors.Norms(x0, count);
        double[] magnitudes = [.. result.Columns.Select((column, j) => bNorms[j] + size * (column.SolutionNorm + startNorms[j]))];
        double[] stopNorms = normals;
        if (options.Preconditioner is { } P) {      // then the iteration's norms are those in y, of AP and Pᵀ(Aᵀr − λ²d)
            stopNorms = Vectors.Norms(Augmented.TransposedProduct(P, normal), count);
            double own = Augmented.Norm(P is SketchedInverse sketch ? sketch.Inverse : products);
            magnitudes = [.. result.Columns.Select((column, j) => bNorms[j] + own * (column.SolutionNorm + startNorms[j]))];
        }
        var rules = new LsmrRules(options, A, damp);
        double roundoff = RoundoffAllowance * Vectors.Epsilon(A.dtype);
        LsmrColumn[] columns = [.. result.Columns.Select((column, j) => column with { Stop = Confirmed(column, j) })];
        return result with {
            Columns = columns,
            Audit = new LsmrAudit(Together(residuals), Together(normals)),
        };

        LsmrStop Confirmed(LsmrColumn column, int j)
        {
            if (column.Stop is not (LsmrStop.Residual or LsmrStop.LeastSquares))
                return column.Stop;
            const double Slack = 4;                 // the recurrence's norms are estimates, and its ‖A‖ another one
            double grown = size * Math.Sqrt(column.Iterations);     // the rules used SciPy's, the root of a sum over iterations
            bool holds = column.Stop switch {
                LsmrStop.Residual => residuals[j] <= Slack * (rules.Btol * bNorms[j] + rules.Atol * grown * column.SolutionNorm) + roundoff * magnitudes[j],
                LsmrStop.LeastSquares => stopNorms[j] <= Slack * rules.Atol * grown * residuals[j] + roundoff * size * magnitudes[j],
                _ => false,
            };
            holds &= mismatches[j] <= Slack * Math.Max(rules.Atol, roundoff) * (magnitudes[j] + size * column.SolutionNorm);
            return holds ? column.Stop : LsmrStop.NotConfirmed;
        }

        static double Together(double[] norms) => norms.Length == 1 ? norms[0] : Math.Sqrt(norms.Sum(norm => norm * norm));
    }

    /// <summary>How many eps of the sizes that meet in a residual round-off may leave in it, after many iterations.</summary>
    public const double RoundoffAllowance = 100;
}
