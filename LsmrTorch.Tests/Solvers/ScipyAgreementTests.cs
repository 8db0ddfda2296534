using System.Text.Json;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>The iterates, iteration counts and norms of SciPy's lsmr, from a table that Fixtures/scipy_lsmr.py wrote.</summary>
public class ScipyAgreementTests
{
    public sealed record Step(double Residual, double Normal_residual, double Norm, double Condition, double X_norm, double[] X);

    public sealed record Case(int Rows, int Columns, double Damp, bool Start, int Stop, int Iterations, Step[] Steps)
    {
        public override string ToString() => FormattableString.Invariant($"{Rows} x {Columns}, damp {Damp}, start {Start}");
    }

    private sealed record Table(string Scipy, Case[] Cases);

    public static IEnumerable<Case> Cases()
    {
        using Stream stream = typeof(ScipyAgreementTests).Assembly.GetManifestResourceStream("scipy_lsmr.json")!;
        return JsonSerializer.Deserialize<Table>(stream, new JsonSerializerOptions { PropertyNameCaseInsensitive = true })!.Cases;
    }

    [TestCaseSource(nameof(Cases))]
    public void Iterates_and_norms_are_those_of_SciPy(Case expected)
    {
        using var scope = NewDisposeScope();
        Tensor i = arange(1, expected.Rows + 1, float64).unsqueeze(1), j = arange(1, expected.Columns + 1, float64).unsqueeze(0);
        Tensor A = i.mul(j).div(7).cos().mul(2).add(i.eq(j).to(float64).mul(6));
        Tensor b = arange(1, expected.Rows + 1, float64).sin();
        Tensor? x0 = expected.Start ? arange(1, expected.Columns + 1, float64).reciprocal() : null;
        LinearOperator op = LinearOperator.FromMatrix(A);

        for (int k = 0; k < expected.Steps.Length; k++) {
            LsmrProgress last = default;
            LsmrResult found = linalg.lsmr(op, b, expected.Damp, x0, 1e-10, 1e-10, 1e12, maxiter: k + 1, stop_when: p => {
                last = p;
                return false;
            });
            Step step = expected.Steps[k];
            // The same formulas on the same numbers: round-off grows with the steps and the loss of orthogonality.
            const double Tolerance = 1e-9;
            Assert.Multiple(() => {
                Assert.That(found.ResidualNorm, Is.EqualTo(step.Residual).Within(Tolerance * step.Residual), $"|r| after {k + 1}");
                Assert.That(found.NormalResidualNorm, Is.EqualTo(step.Normal_residual).Within(Tolerance * last.FrobeniusEstimate), $"|A'r| after {k + 1}");
                Assert.That(last.FrobeniusEstimate, Is.EqualTo(step.Norm).Within(Tolerance * step.Norm), $"|A| after {k + 1}");
                Assert.That(last.ConditionEstimate, Is.EqualTo(step.Condition).Within(1e-6 * step.Condition), $"cond after {k + 1}");
                Assert.That(found.SolutionNorm, Is.EqualTo(step.X_norm).Within(Tolerance * step.X_norm), $"|x| after {k + 1}");
                Assert.That(Problems.Values(found.Solution)[..4], Is.EqualTo(step.X).Within(Tolerance * step.X_norm), $"x after {k + 1}");
            });
        }
        LsmrResult result = linalg.lsmr(op, b, expected.Damp, x0, 1e-10, 1e-10, 1e12, maxiter: 1000);
        Assert.That(result.Iterations, Is.EqualTo(expected.Iterations).Within(1), "iterations");
        Assert.That((int)result.Stop, Is.EqualTo(expected.Stop), "SciPy's codes 1 and 2 are Residual and LeastSquares");
    }
}
