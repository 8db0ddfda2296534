using LsmrTorch.Experiments.LeastSquares;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>Solves one point through the library, accepting whatever comes out, and compares with the truth.</summary>
internal static class PointSolve
{
    public static PointResult Run(Point at, ConditioningSizes sizes, long seed, Device device)
    {
        using var scope = NewDisposeScope();
        double cond = at.Sweep == Sweep.Cond ? at.Value : sizes.SweepCond;
        double noise = at.Sweep == Sweep.Noise ? at.Value : 0;
        double forward = at.Sweep is Sweep.Tolerance or Sweep.ForwardTolerance ? at.Value : 0;     // 0 is raised to the floor
        double backward = at.Sweep is Sweep.Tolerance or Sweep.BackwardTolerance ? at.Value : 0;
        using var problem = new GradedProblem(sizes, cond, noise, at.Lane.Dtype, seed, at.Seed, device);
        Tensor b = problem.RightHandSide.clone().requires_grad_();
        var plain = new LsmrOptions {
            Damp = at.Lane.Damp,
            Atol = forward,
            Btol = forward,
            ConditionLimit = double.PositiveInfinity,
            MaxIterations = sizes.MaxIterations,
            Gradient = new GradientOptions {
                Tolerance = backward,
                MaxIterations = sizes.MaxIterations,
                WhenUnconverged = Unconverged.Accept,
            },
        };
        LsmrOptions options;
        try {
            options = Variant.All.Single(variant => variant.Name == at.Lane.Variant).Apply(plain, problem);
        } catch (ArgumentException error) {
            return PointResult.Failed(at, null, error.Message);
        }
        LsmrResult result = Lsmr.Solve(problem.Operator(), b, options);
        Tensor[] found;
        try {
            found = Explained.Run(() => Gradient.Of(result.Solution.mul(problem.Cotangent).sum(), b, problem.Addend));
        } catch (LsmrException error) {
            return PointResult.Failed(at, result, error.Message);
        }
        GradientReport report = result.GradientReport!;

        Tensor b64 = b.detach().cpu().to_type(float64), g64 = problem.Cotangent.cpu().to_type(float64);
        var truth = new DenseTruth(problem.Factors, sizes.Columns, at.Lane.Damp, b64, zeros(sizes.Columns, float64), g64);
        return new PointResult(
            at,
            ErrorX: DenseTruth.Error(result.Solution, truth.Solution, 0),
            ErrorB: DenseTruth.Error(found[0], truth.P, 0),
            ErrorA: DenseTruth.Error(found[1], truth.MatrixGradient, 0),
            result.Stop.ToString(), result.Iterations, report.Runs, report.Iterations, report.RelativeResidual,
            // The report does not say whether a run converged, but one that did ended before its limit.
            Converged: result.Converged && (report.Iterations < sizes.MaxIterations || report.RelativeResidual <= backward));
    }
}
