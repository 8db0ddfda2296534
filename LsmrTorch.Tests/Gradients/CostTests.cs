using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>What a backward pass costs beside a forward one, in products.</summary>
public class CostTests
{
    /// <summary>
    /// For each cell, the iterations of the backward pass at its own tolerance, and those of LSMR on the same kind of
    /// problem (a random right-hand side) to the same true relative error; on average at most 1.2 times as many.
    /// </summary>
    [Test]
    public void A_backward_run_takes_at_most_a_fifth_more_products_than_a_forward_run_to_the_same_error()
    {
        using var scope = NewDisposeScope();
        var ratios = new List<double>();
        foreach (Shape shape in Enum.GetValues<Shape>()) {
            foreach (double damp in new[] { 0, 1e-2, 0.5 }) {
                foreach (double cond in new[] { 10, 1e3 }) {
                    if (shape == Shape.Wide && damp == 0)
                        continue;       // two runs of LSMR, by construction
                    (long m, long n) = shape switch { Shape.Tall => (150, 50), Shape.Square => (70, 70), _ => (50, 150) };
                    Tensor M = Problems.Matrix(m, n, cond, 1), g = Problems.Random(3, n), b = Problems.Random(4, m);
                    int products = 0;
                    Tensor Mt = M.t().contiguous();
                    LinearOperator A = LinearOperator.FromMatVec(v => Counted(M.mv(v)), u => Counted(Mt.mv(u)), [n], float64);
                    Tensor Counted(Tensor x)
                    {
                        products++;
                        return x;
                    }
                    CraigmrResult backward = Craigmr.Solve(A.T, g, new CraigmrOptions { Damp = damp, Tolerance = 1e-8 });
                    int backwardProducts = products;
                    Tensor square = M.t().mm(M) + damp * damp * eye(n, dtype: float64), w = linalg.solve(square, g);
                    double error = Vectors.Norm(backward.Multiplier - w) / Vectors.Norm(w);
                    Assert.That(backward.Converged, $"{shape}, damp {damp}, cond {cond}");

                    // LSMR until its x has that error.
                    Tensor x = Problems.Solve(M, b, damp, null);
                    int forwardProducts = -1, limit = 1;
                    for (int low = 0, high = 4 * backward.Iterations + 10; low < high;) {
                        limit = (low + high) / 2;
                        products = 0;
                        LsmrResult forward = Lsmr.Solve(A, b, new LsmrOptions { Damp = damp, Atol = 1e-15, Btol = 1e-15, ConditionLimit = 1e15, MaxIterations = limit, Audit = false });
                        bool reached = Vectors.Norm(forward.Solution - x) <= error * Vectors.Norm(x);
                        if (reached)
                            (high, forwardProducts) = (limit, products);
                        else
                            low = limit + 1;
                    }
                    Assert.That(forwardProducts, Is.Positive, "the error is reached");
                    ratios.Add((double)backwardProducts / forwardProducts);
                    TestContext.Out.WriteLine($"{shape}, damp {damp}, cond {cond}: error {error:E1}, products backward {backwardProducts}, forward {forwardProducts}");
                }
            }
        }
        TestContext.Out.WriteLine($"mean ratio {ratios.Average():F2}");
        Assert.That(ratios.Average(), Is.LessThanOrEqualTo(1.2));
    }
}
