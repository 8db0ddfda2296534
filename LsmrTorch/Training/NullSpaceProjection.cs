using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <content>The projected step: the inner optimizer's, less what the constraint forbids.</content>
public sealed partial class NullSpaceOptimizer
{
    // Delta' = Delta - J⁺ (J Delta + kappa c), or J⁺ in a metric.
    private NullSpaceReport ProjectStep(Parameter[] moving, double rate, Func<Tensor>? closure)
    {
        if (InnerStep(moving, closure, rate, out NullSpaceReport? direct) is not { } delta)
            return direct!;
        using var guard = no_grad();
        (Tensor c, LinearOperator J) = Linearized(moving);
        if (c.numel() == 0) {
            double norm = Vectors.Norm(delta);
            if (!double.IsFinite(norm))
                return NullSpaceReport.Skipped;
            Move(moving, delta);
            return NullSpaceReport.Unconstrained with { StepNorm = norm };
        }
        (Tensor correction, NullSpaceReport report) = Correction(moving, J, c, delta, rate, Order == ProjectionOrder.Metric ? RootMetric(moving) : null);
        if (report.Applied) {
            Vectors.AddScaled(delta, -1, correction);
            Move(moving, delta);
        }
        return report;
    }

    // c and J, which may be of a user's own constraint, as the step needs them.
    private (Tensor Residual, LinearOperator Jacobian) Linearized(Parameter[] moving)
    {
        (Tensor c, LinearOperator J) = constraint.Linearize(moving);
        if (c.numel() == 0)
            return (c, J);
        long entries = moving.Sum(p => p.numel());
        if (J.Columns != entries || J.InputShape.Count != 1 || !Vectors.HasShape(c, J.OutputShape))
            throw new ArgumentException(
                $"The constraint's Jacobian must map ({entries}) to the residual's shape {Text.Shape(c.shape)}, "
                + $"but maps {Text.Shape(J.InputShape)} to {Text.Shape(J.OutputShape)}.");
        if (c.dtype != moving[0].dtype || J.dtype != c.dtype)
            throw new ArgumentException(
                $"The constraint's residual and Jacobian must be {moving[0].dtype} as the parameters, but are "
                + $"{c.dtype} and {J.dtype}.");
        BlockJacobian.RequireDependence(J);
        return (c, J);
    }

    // z = J⁺ (J Delta + kappa c), or D^(1/2) (J D^(1/2))⁺ of it, or the mean of those up to now, and what is to be told of it.
    private (Tensor Correction, NullSpaceReport Report) Correction(Parameter[] moving, LinearOperator J, Tensor c, Tensor delta, double rate, Tensor? rootMetric)
    {
        double scale = Math.Sqrt(c.numel()), step = Vectors.Norm(delta);
        Tensor target = J.MatVec(delta);
        Vectors.AddScaled(target, rate, c);
        LinearOperator scaled = rootMetric is null ? J : J * LinearOperator.Diagonal(rootMetric);
        var options = new LsmrOptions { Atol = Tolerance, Btol = Tolerance, MaxIterations = MaxIterations };
        (LsmrResult solve, double damp) = Solve(scaled, target, options, Damp * scale);
        Tensor correction = rootMetric is null ? solve.Solution : solve.Solution.mul(rootMetric);
        (double? freeShare, bool noFreedom) = FreeShare(scaled, c, delta, correction, rate, damp, options, rootMetric);
        // Of entries that J does not see the solve knows nothing.
        bool isFinite = solve.Stop != LsmrStop.NonFinite && double.IsFinite(step);
        if (isFinite)
            correction = Smoothed(moving, correction);
        double size = Vectors.Norm(correction);
        isFinite &= double.IsFinite(size);
        // c + J Delta' = (1 - kappa) c + (target - J z)
        Vectors.AddScaled(target, -1, J.MatVec(correction));
        Vectors.AddScaled(target, 1 - rate, c);
        return (correction, new NullSpaceReport {
            ConstraintNorm = Vectors.Norm(c) / scale,
            PredictedConstraintNorm = Vectors.Norm(target) / scale,
            StepNorm = step,
            CorrectionNorm = size,
            Damp = damp / scale,
            Iterations = solve.Iterations,
            Stop = isFinite ? solve.Stop : LsmrStop.NonFinite,
            ConditionEstimate = solve.ConditionEstimate,
            FreeShare = freeShare,
            NoFreedom = noFreedom,
            Applied = isFinite,
        });
    }

    // With a limit on the condition, damped by the norm that the last step found; the first step may have to solve twice.
    private (LsmrResult Solve, double Damp) Solve(LinearOperator J, Tensor target, LsmrOptions options, double least)
    {
        double damp = ConditionLimit is { } limit ? Math.Max(least, jacobianNorm / limit) : least;
        LsmrResult solve = PlainLsmr.Solve(J, target, null, damp, options);
        if (ConditionLimit is { } bound && jacobianNorm == 0 && solve.ConditionEstimate > bound) {
            damp = Math.Max(least, solve.NormEstimate / bound);
            solve.Solution.Dispose();
            solve = PlainLsmr.Solve(J, target, null, damp, options);
        }
        if (double.IsFinite(solve.NormEstimate))
            jacobianNorm = solve.NormEstimate;
        return (solve, damp);
    }

    // What the inner optimizer does to the parameters, which are then put back: in place, and before anything is recorded,
    // since a graph recorded earlier would be invalid. Null where the constraint knows the step in closed form and has taken it.
    private Tensor? InnerStep(Parameter[] moving, Func<Tensor>? closure, double rate, out NullSpaceReport? direct)
    {
        using var scope = NewDisposeScope();
        Tensor[] before = [.. moving.Select(p => Vectors.Copy(p.detach()))];
        direct = null;
        try {
            Inner.step(closure);
            using var guard = no_grad();
            direct = Smoothing == 0 && (Order == ProjectionOrder.Step || Damp == 0) ? constraint.StepDirectly(moving, before, rate, Damp) : null;
            if (direct is not null)
                return null;
            Tensor delta = empty(moving.Sum(p => p.numel()), moving[0].dtype, moving[0].device);
            foreach ((Tensor part, Parameter after, Tensor old) in Vectors.Split(delta, [.. moving.Select(p => p.shape)]).Zip(moving, before)) {
                part.copy_(after);
                Vectors.AddScaled(part, -1, old);
            }
            return scope.MoveToOuter(delta);
        } finally {
            if (direct is not { Applied: true })
                Restore(moving, before);
        }
    }

    // With as many residuals as parameters or more, J may leave nothing free: compare Delta - J⁺J Delta with Delta. At a minimum under the
    // constraint nothing of Delta is left either, so that then a random direction is asked.
    private static (double? Share, bool NoFreedom) FreeShare(LinearOperator J, Tensor c, Tensor delta, Tensor correction, double rate, double damp, LsmrOptions options, Tensor? rootMetric)
    {
        using Tensor? movable = rootMetric?.ne(0);          // without those of no learning rate
        if (J.Rows < (movable is null ? J.Columns : movable.count_nonzero().item<long>()))
            return (null, false);
        Tensor restoring = PlainLsmr.Solve(J, c, null, damp, options).Solution;                     // J⁺ c
        Tensor free = delta.sub(correction);
        Vectors.AddScaled(free, rate, rootMetric is null ? restoring : restoring.mul(rootMetric));
        double size = Vectors.Norm(delta), share = size == 0 ? 0 : Vectors.Norm(free) / size;
        if (share >= NullSpaceReport.NoFreedomBelow)
            return (share, false);
        using var generator = new Generator(0UL, CPU);
        Tensor direction = randn([.. J.InputShape], float64, generator: generator).to(J.dtype).to(J.device);
        if (movable is not null)
            direction = direction.mul(movable);
        Tensor left = direction.sub(PlainLsmr.Solve(J, J.MatVec(direction), null, damp, options).Solution);
        bool noFreedom = Vectors.Norm(left) < NullSpaceReport.NoFreedomBelow * Vectors.Norm(direction);
        if (noFreedom)
            Diagnostics.Warn(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{J.Rows} constraints on {J.Columns} parameters leave the step no freedom: the loss no longer moves them. Use fewer residuals a step, or damping."));
        return (share, noFreedom);
    }

    private static void Restore(Parameter[] parameters, Tensor[] values)
    {
        using var guard = no_grad();
        foreach ((Parameter parameter, Tensor value) in parameters.Zip(values))
            parameter.copy_(value);
    }

    private static void Move(Parameter[] parameters, Tensor step)
    {
        foreach ((Parameter parameter, Tensor part) in parameters.Zip(Vectors.Split(step, [.. parameters.Select(p => p.shape)])))
            Vectors.AddScaled(parameter, 1, part);
    }
}
