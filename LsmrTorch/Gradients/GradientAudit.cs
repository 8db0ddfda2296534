using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Makes the report of a backward pass from what it found, and refuses what its residuals do not show.</summary>
internal sealed class GradientAudit(BackwardSolve solve, BackwardRuns runs, Tensor g, BackwardSolve.Forward forward, GradientOptions settings)
{
    private readonly double size = Vectors.Norm(g);

    /// <summary>Nothing is known but what was done.</summary>
    public GradientReport Unaudited() => new() {
        Kind = GradientErrorKind.Unknown,
        Runs = runs.Runs,
        Iterations = runs.Iterations,
        RelativeResidual = double.NaN,
    };

    /// <summary>
    /// The report on p, w, and s and y where they are no multiples of w, from bounds of their errors.
    /// </summary>
    public GradientReport Report(GradientErrors bounds, GradientErrors.Backward errors, Tensor p, Tensor? w, Tensor? s, Tensor? y)
    {
        int k = errors.Norms.Length;
        double[] Norms(Tensor? x) => x is null ? new double[k] : Vectors.Norms(x, k);
        double Sum(Func<int, double> term) => Enumerable.Range(0, k).Sum(term);
        (double[] pNorms, double[] wNorms, double[] sNorms, double[] yNorms) = (Norms(p), Norms(w), Norms(s), Norms(y));
        GradientError? ofDamp = null, ofOperator = null;
        if (forward is { X: { } x, D: { } d, R: { } r }) {
            (double[] ofX, double[] ofR) = bounds.OfForward(x, d, r);
            (double[] xNorms, double[] rNorms, double[] dNorms) = (Norms(x), Norms(r), Norms(d));
            double lambda = solve.Damp;
            if (solve.NeedsDamp && lambda > 0)
                ofDamp = new GradientError(2 * lambda * Sum(j => errors.OfW[j] * dNorms[j] + wNorms[j] * ofX[j]), 2 * lambda * Math.Abs(Vectors.Dot(w!, d)));
            if (solve.NeedsOperator) {
                double error = Sum(j => rNorms[j] * errors.OfW[j] + wNorms[j] * ofR[j] + pNorms[j] * ofX[j] + xNorms[j] * errors.OfP[j]
                    + yNorms[j] * errors.OfS[j] + sNorms[j] * errors.OfY[j]);
                ofOperator = new GradientError(error, NormOfOperatorGradient(p, w, s, y, x, r, k));
            }
        }
        double residual = Root(errors.Norms) / (s is null ? 1 : Math.Max(runs.Norm, double.Epsilon));   // A s is multiplied by A once more
        var report = new GradientReport {
            Kind = solve.Damp > 0 ? GradientErrorKind.Certified : GradientErrorKind.Estimated,
            Runs = runs.Runs,
            Iterations = runs.Iterations,
            RelativeResidual = size == 0 ? 0 : residual / size,
            RightHandSide = new GradientError(Root(errors.OfP), Root(pNorms)),
            Start = !solve.NeedsStart || (s is null && solve.Damp == 0) ? null
                : new GradientError(Root(errors.OfS), s is null ? solve.Damp * solve.Damp * Root(wNorms) : Root(sNorms)),
            Damp = ofDamp,
            Operator = ofOperator,
        };
        bool proves = report.WorstRelative <= (settings.ErrorTarget ?? 1);
        return report.Kind == GradientErrorKind.Certified && !proves ? report with { Kind = GradientErrorKind.NotCertifiable } : report;
    }

    /// <summary>Whether a target was set that the report does not meet.</summary>
    public bool Misses(GradientReport report) => solve.Damp > 0 && settings.ErrorTarget is double target && !(report.WorstRelative <= target);

    /// <summary>
    /// Whether the run's claim holds. The recursive residual sinks below the true one, which round-off of eps ‖A‖² ‖w‖ keeps up; beyond
    /// that a claim is false. A run that came to its limit with the true one at round-off is as good as one that converged.
    /// </summary>
    /// <exception cref="LsmrException">It does not hold, unless that is accepted.</exception>
    public void Confirm(CraigmrResult run, GradientErrors.Backward errors, GradientReport report, double tolerance, Tensor w, bool isPreconditioned)
    {
        if (settings.WhenUnconverged == Unconverged.Accept)
            return;
        double claimed = tolerance * size, found = Root(errors.Norms);
        double roundoff = SolveAudit.RoundoffAllowance * Vectors.Epsilon(w.dtype) * ((runs.Norm * runs.Norm + solve.Damp * solve.Damp) * Vectors.Norm(w) + size);
        // The tolerance of a preconditioned run is one of Pᵀ times this residual.
        bool confirmed = (isPreconditioned && run.Converged) || found <= 4 * claimed + roundoff;
        runs.Accept(run.Converged || confirmed, run);
        if (!errors.TransposeHolds)
            throw new LsmrException("The operator's transpose is none: ⟨A w, A w⟩ is not ⟨w, Aᵀ(A w)⟩, or the products are inexact beyond GradientOptions.Tolerance (LinearOperator.Verify tells).");
        if (!confirmed)
            throw new LsmrException($"A solve for the gradients claims a residual of {Text.Number(claimed)}, but recomputed it is {Text.Number(found)}: the products are inexact, or the transpose is none (LinearOperator.Verify tells).");
        if (Misses(report))
            throw new LsmrException($"The gradient's certified relative error is {Text.Number(report.WorstRelative)}, over the target of {Text.Number(settings.ErrorTarget!.Value)}: not certifiable in this precision (or the forward solve is not as exact).");
    }

    // ‖r wᵀ − p xᵀ + y sᵀ‖
    private static double NormOfOperatorGradient(Tensor p, Tensor? w, Tensor? s, Tensor? y, Tensor x, Tensor r, int k)
    {
        Tensor Flat(Tensor t) => t.reshape(-1, k);
        List<Tensor> left = [Flat(p).neg()], right = [Flat(x)];
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
}
