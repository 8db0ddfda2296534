using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>
/// LSMR (Fong and Saunders 2011, section 2.8) as a user of TorchSharp writes it down: tensor operators, one scope a step, no estimates
/// of norms. What our iteration is to be faster than.
/// </summary>
internal static class NaiveLsmr
{
    /// <summary>Minimises ‖A x − b‖ from the two products; stops where ‖Aᵀr‖ ≤ tolerance ‖Aᵀb‖. x belongs to the caller's scope.</summary>
    public static (Tensor X, int Iterations) Solve(
        Func<Tensor, Tensor> product, Func<Tensor, Tensor> transposed, Tensor b, int maxIterations, double tolerance = 0)
    {
        using var scope = NewDisposeScope();
        double beta = Norm(b);
        Tensor u = b / beta;
        Tensor v = transposed(u);
        double alpha = Norm(v);
        v = v / alpha;
        Tensor h = v.clone();
        Tensor hBar = zeros_like(v);
        Tensor x = zeros_like(v);
        double alphaBar = alpha, zetaBar = alpha * beta, rho = 1, rhoBar = 1, cBar = 1, sBar = 0;
        double enough = tolerance * zetaBar;

        int iterations = 0;
        while (iterations < maxIterations && Math.Abs(zetaBar) > enough) {
            using var step = NewDisposeScope();
            Tensor[] old = [u, v, h, hBar, x];
            u = product(v) - alpha * u;
            beta = Norm(u);
            u = u / beta;
            v = transposed(u) - beta * v;
            alpha = Norm(v);
            v = v / alpha;

            double rhoOld = rho, rhoBarOld = rhoBar;
            rho = double.Hypot(alphaBar, beta);
            double c = alphaBar / rho, s = beta / rho, thetaNew = s * alpha;
            alphaBar = c * alpha;
            double thetaBar = sBar * rho, rhoTemp = cBar * rho;
            rhoBar = double.Hypot(rhoTemp, thetaNew);
            cBar = rhoTemp / rhoBar;
            sBar = thetaNew / rhoBar;
            double zeta = cBar * zetaBar;
            zetaBar = -sBar * zetaBar;

            hBar = h - (thetaBar * rho / (rhoOld * rhoBarOld)) * hBar;
            x = x + (zeta / (rho * rhoBar)) * hBar;
            h = v - (thetaNew / rho) * h;
            foreach (Tensor kept in new[] { u, v, h, hBar, x }) {
                step.MoveToOuter(kept);
            }
            foreach (Tensor dropped in old) {
                dropped.Dispose();
            }
            iterations++;
        }
        return (scope.MoveToOuter(x), iterations);
    }

    private static double Norm(Tensor x) => x.norm().ToDouble();
}
