using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>
/// ‖δ ∂A‖ ≤ ‖r‖ρ/λ² + ‖w‖ν/(2λ) + ‖p‖ν/λ² + ‖x‖ρ/(2λ): for each term a problem whose error it alone covers, so that a
/// bound without it would be below the error.
/// </summary>
public class OperatorBoundTests
{
    private const double Lambda = 1e-3;

    /// <summary>Which term is the problem's.</summary>
    public enum Term { OfR, OfW, OfP, OfX }

    // Singular values 1 and λ, and for ‖w‖ a column of zeros; one iteration leaves the direction of λ unsolved.
    private static (double[,] A, double[] B, double[] G) Problem(Term term) => term switch {
        Term.OfR => (new[,] { { 1, 0 }, { 0, Lambda }, { 0, 0 } }, [1, 0, 1e3], [1, 1]),
        Term.OfX => (new[,] { { 1, 0 }, { 0, Lambda }, { 0, 0 } }, [1, 0, 0], [1, 1]),
        Term.OfP => (new[,] { { 1, 0 }, { 0, Lambda }, { 0, 0 } }, [1, 1, 0], [1, 0]),
        _ => (new[,] { { 1, 0, 0 }, { 0, Lambda, 0 } }, [1, 1], [0, 0, 1]),
    };

    [Test]
    public void Each_term_of_the_bound_is_needed([Values] Term term)
    {
        using var scope = NewDisposeScope();
        (double[,] entries, double[] right, double[] cotangent) = Problem(term);
        Tensor A = tensor(entries).requires_grad_(), M = A.detach(), b = tensor(right), g = tensor(cotangent);
        bool isForward = term is Term.OfP or Term.OfW;
        LsmrResult result = Lsmr.Solve(LinearOperator.FromMatrix(A), b, new LsmrOptions {
            Damp = Lambda,
            MaxIterations = isForward ? 1 : null,
            ConditionLimit = 0,
            Gradient = new() { MaxIterations = isForward ? null : 1, WhenUnconverged = Unconverged.Accept },
        });
        Tensor found = Gradient.Of(result.Solution.dot(g), A)[0];
        GradientReport report = result.GradientReport!;

        Tensor H = M.t().mm(M) + Lambda * Lambda * eye(M.shape[1], dtype: float64);
        Tensor x = linalg.solve(H, M.t().mv(b)), w = linalg.solve(H, g), p = M.mv(w), r = b - M.mv(x);
        double error = Vectors.Norm(found - (r.outer(w) - p.outer(x))), bound = report.Operator!.Value.Absolute;
        Tensor solution = result.Solution.detach();
        double rho = report.RelativeResidual * Vectors.Norm(g);
        double nu = Vectors.Norm(M.t().mv(b - M.mv(solution)) - Lambda * Lambda * solution);
        double Size(Tensor truth) => Vectors.Norm(truth);
        var terms = new Dictionary<Term, double> {
            [Term.OfR] = Size(b - M.mv(solution)) * rho / (Lambda * Lambda),
            [Term.OfW] = Size(w) * nu / (2 * Lambda),
            [Term.OfP] = Size(p) * nu / (Lambda * Lambda),
            [Term.OfX] = Size(solution) * rho / (2 * Lambda),
        };
        TestContext.Out.WriteLine($"error {error:E2}, bound {bound:E2}: {string.Join(", ", terms.Select(t => $"{t.Key} {t.Value:E2}"))}");
        Assert.That(error, Is.LessThanOrEqualTo(bound * (1 + 1e-9)), "covered");
        Assert.That(error, Is.GreaterThan(2 * terms.Where(other => other.Key != term).Sum(other => other.Value)), "by this term");
    }
}
