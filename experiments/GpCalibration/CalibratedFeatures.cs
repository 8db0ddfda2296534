using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>
/// Ours: for each fold, x = argmin ‖Φ(ℓ, s) x − y‖² + σ²‖x‖² on the examples of the other folds, by the differentiable solver; the loss is the
/// mean squared error of Φ x on those held back. That fixes ℓ and σ/s; a last number, by which s and σ are scaled together and which moves
/// no mean, makes the squared standardised errors of the held-back examples 1 on average.
/// </summary>
internal class CalibratedFeatures(GpProblem problem, string name = "ours") : Method(name, problem)
{
    private const long MostPreconditioned = 2048; // features; a triangle of more costs more than it saves

    private readonly WarmStart[] _warmStarts = [.. Enumerable.Range(0, Math.Max(problem.Sizes.Folds, problem.Sizes.FoldsOfMany)).Select(_ => new WarmStart())];
    private DisposeScope? _preconditionerScope;
    private LinearOperator? _preconditioner;

    /// <summary>Iterations of all solves so far, forward and backward.</summary>
    public (long Forward, long Backward) Iterations { get; private set; }

    /// <inheritdoc/>
    public override void Step(int step)
    {
        int every = Problem.Sizes.PreconditionerEvery, draw = step - (step % Math.Max(1, every)); // the same examples as long as the preconditioner
        if (every > 0 && step == draw) {
            Precondition(draw);
        }
        using var scope = NewDisposeScope();
        (Tensor loss, LsmrResult[] solves) = StepLoss(draw);
        loss.backward();
        Iterations = (Iterations.Forward + solves.Sum(solve => solve.Iterations), Iterations.Backward + solves.Sum(solve => solve.GradientReport?.Iterations ?? 0));
    }

    /// <summary>The mean loss of the held-back examples of all folds, with a gradient to the free hyper-parameters, in the current dispose scope.</summary>
    public (Tensor Loss, LsmrResult[] Solves) StepLoss(int draw)
    {
        GpSizes sizes = Problem.Sizes;
        Tensor[] rows = Problem.Folds(draw), targets = [.. rows.Select(fold => Problem.Y.index_select(0, fold))];
        (Tensor scales, Tensor amplitude, Tensor noise) = Hyper.Values(Problem.X.dtype);
        LinearOperator[] parts = [.. rows.Select(fold => Problem.Features.Operator(Problem.X.index_select(0, fold), scales, amplitude, sizes.MostEntries))];
        var solves = new LsmrResult[rows.Length];
        Tensor loss = zeros(Array.Empty<long>(), Problem.X.dtype);
        long count = 0;
        for (int fold = 0; fold < rows.Length; fold++) {
            LsmrOptions options = Options(sizes, noise) with { WarmStart = _warmStarts[fold], Preconditioner = _preconditioner };
            LinearOperator fitted = LinearOperator.Stack(GpProblem.Others(parts, fold));
            solves[fold] = Lsmr.Solve(fitted, cat(GpProblem.Others(targets, fold)), options);
            Tensor losses = HeldBackLosses(new Fold(fold, draw, fitted, parts[fold], rows[fold], targets[fold], solves[fold].Solution, noise), _preconditioner);
            (loss, count) = (loss.add(losses.sum()), count + losses.shape[0]);
        }
        return (loss.div(count), solves);
    }

    /// <summary>The loss of each example held back, or of some of them.</summary>
    protected virtual Tensor HeldBackLosses(Fold fold, LinearOperator? preconditioner) => fold.Held.Apply(fold.Solution).sub(fold.Targets).square();

    /// <inheritdoc/>
    public override double Loss()
    {
        using var scope = NewDisposeScope();
        return HeldBack(false).Errors.square().mean().item<double>();
    }

    /// <inheritdoc/>
    public override (Tensor Mean, Tensor Variance) Predict() =>
        Posterior.FromFeatures(Problem.Features, Hyper, Problem.X, Problem.Y, Problem.TestX);

    /// <inheritdoc/>
    public override void Finish()
    {
        using var scope = NewDisposeScope();
        (Tensor errors, Tensor variances) = HeldBack(true);
        Hyper.ScaleTogether(Math.Sqrt(errors.square().div(variances).mean().item<double>()));
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (WarmStart warmStart in _warmStarts) {
            warmStart.Dispose();
        }
        _preconditionerScope?.Dispose();
        base.Dispose();
    }

    /// <summary>How ours solves: as far as the steps of an optimizer need, from the last step's solution, without an audit.</summary>
    internal static LsmrOptions Options(GpSizes sizes, Damping damp) => new() {
        Damp = damp,
        Atol = sizes.Tolerance,
        Btol = sizes.Tolerance,
        ConditionLimit = double.MaxValue,
        MaxIterations = sizes.MaxIterations,
        Audit = false,
        Gradient = new GradientOptions {
            Tolerance = sizes.GradientTolerance,
            MaxIterations = sizes.MaxIterations,
            WhenUnconverged = Unconverged.Accept,
        },
    };

    // Of all folds together, which differ little from each but one; for a few steps, in which Φ changes little.
    private void Precondition(int draw)
    {
        _preconditionerScope?.Dispose();
        _preconditionerScope = NewDisposeScope();
        using var guard = no_grad();
        GpSizes sizes = Problem.Sizes;
        Tensor inputs = Problem.X.index_select(0, cat(Problem.Folds(draw)));
        (Tensor scales, Tensor amplitude, Tensor noise) = Hyper.Values(Problem.X.dtype);
        _preconditioner = inputs.shape[0] * Problem.Features.Count > sizes.MostEntries || inputs.shape[0] < 2 * Problem.Features.Count || Problem.Features.Count > MostPreconditioned ? null
            : Preconditioner.Sketch(LinearOperator.FromMatrix(Problem.Features.Of(inputs, scales, amplitude)), noise.to(float64).item<double>());
    }

    /// <summary>Errors and variances of all held-back examples of the draw −1, by dense algebra, in the current dispose scope.</summary>
    protected (Tensor Errors, Tensor Variances) HeldBack(bool withVariances)
    {
        using var scope = NewDisposeScope();
        Tensor[] folds = Problem.Folds(-1);
        (Tensor Mean, Tensor Variance)[] held = [.. folds.Select((fold, i) => {
            Tensor fit = cat(GpProblem.Others(folds, i));
            return Posterior.FromFeatures(Problem.Features, Hyper, Problem.X.index_select(0, fit), Problem.Y.index_select(0, fit), Problem.X.index_select(0, fold), withVariances);
        })];
        Tensor targets = Problem.Y.index_select(0, cat(folds)).to(float64);
        return scope.MoveToOuter(cat([.. held.Select(fold => fold.Mean)]).sub(targets), cat([.. held.Select(fold => fold.Variance)]));
    }
}
