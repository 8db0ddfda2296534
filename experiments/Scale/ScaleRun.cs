using System.Diagnostics;
using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Scale;

/// <summary>
/// One network and its SGD with momentum; a step of it alone and one held to a sparsity constraint take turns on random images, so that their times are
/// those of the same network beside each other.
/// </summary>
internal sealed class ScaleRun : IDisposable
{
    private static readonly Scalar s_zero = 0.0f.ToScalar();
    private readonly ScaleSizes _sizes;
    private readonly RunContext _context;
    private readonly Swin _model;
    private readonly Parameter[] _parameters, _prunable;
    private readonly SGD _inner;
    private NullSpaceOptimizer? _optimizer;
    private (Parameter, Tensor Mask)[] _masks = [];

    public ScaleRun(ScaleSizes sizes, RunContext context)
    {
        (_sizes, _context) = (sizes, context);
        _model = sizes.Network(context.Settings.Seed);
        _model.to(context.Device);
        _parameters = [.. _model.parameters()];
        _prunable = [.. _parameters.Where(parameter => parameter.dim() >= 2)];
        _inner = optim.SGD(_parameters, sizes.LearningRate, momentum: 0.9);
    }

    /// <summary>How many numbers the network has.</summary>
    public long Count => _parameters.Sum(parameter => parameter.numel());

    /// <summary>Takes all steps.</summary>
    public IReadOnlyList<ScaleStep> Run()
    {
        var steps = new List<ScaleStep>();
        var progress = new ProgressLine(_context.Console, 2L * _sizes.Steps);
        Step(-1, isConstrained: false);                 // momentum and memory are there from now on
        for (int step = 0; step < _sizes.Steps; step++) {
            foreach (bool isConstrained in step % 2 == 0 ? new[] { false, true } : [true, false]) {
                _context.Console.Stop.ThrowIfCancellationRequested();
                steps.Add(Step(step, isConstrained));
                _context.Folder.WriteMetric("step", steps[^1]);
                progress.Report(steps.Count, $"step {step + 1}/{_sizes.Steps}, {(isConstrained ? "constrained" : "plain")}: {steps[^1].Seconds:F2} s");
            }
        }
        progress.Clear();
        return steps;
    }

    /// <summary>
    /// The bytes that the optimizer's step alone takes at its peak, after activations are freed and what they took is returned. Not timed:
    /// memory that was returned must be taken again.
    /// </summary>
    public long StepBytes(bool isConstrained)
    {
        using var scope = NewDisposeScope();
        Backward(Batch(_sizes.Steps));
        return ProcessMemory.PeakOf(() => {
            using var inner = NewDisposeScope();
            Move(isConstrained);
        });
    }

    /// <summary>Sets what was chosen to zero and says which share of the prunable weights is zero then.</summary>
    public double Zeros()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        foreach ((Parameter parameter, Tensor mask) in _masks) {
            parameter.masked_fill_(mask, s_zero);
        }
        return 1 - (_prunable.Sum(parameter => parameter.count_nonzero().item<long>()) / (double)_prunable.Sum(parameter => parameter.numel()));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        _inner.Dispose();
        _model.Dispose();
    }

    private ScaleStep Step(int step, bool isConstrained)
    {
        using var scope = NewDisposeScope();
        (Tensor, Tensor) batch = Batch(step);
        if (isConstrained && step % _sizes.ChooseEvery == 0) {
            Choose();
        }
        NullSpaceReport? report = null;
        double loss = 0, seconds = 0;
        long peak = ProcessMemory.CanMeasure ? ProcessMemory.PeakOf(Timed) : 0;
        return double.IsFinite(loss)
            ? new ScaleStep(step, isConstrained, loss, seconds, peak, report?.ConstraintNorm, report?.PredictedConstraintNorm)
            : throw new ExperimentException($"The loss is {loss} in step {step}; the learning rate is too high.");

        void Timed()
        {
            using var inner = NewDisposeScope();
            var watch = Stopwatch.StartNew();
            loss = Backward(batch);
            report = Move(isConstrained);
            seconds = watch.Elapsed.TotalSeconds;
        }
    }

    private (Tensor Images, Tensor Labels) Batch(int step)
    {
        using Generator generator = Seeds.Torch(_context.Settings.Seed, "images", step);
        Tensor images = randn([_sizes.BatchSize, 3, _sizes.Side, _sizes.Side], generator: generator).to(_context.Device);
        Tensor labels = randint(10, [_sizes.BatchSize], int64, generator: generator).to(_context.Device);
        return (images, labels);
    }

    // Returns the loss; the graph is gone when it returns.
    private double Backward((Tensor Images, Tensor Labels) batch)
    {
        using var scope = NewDisposeScope();
        foreach (Parameter parameter in _parameters) {
            parameter.grad?.fill_(s_zero);
        }
        Tensor value = nn.functional.cross_entropy(_model.forward(batch.Images), batch.Labels);
        value.backward();
        return value.item<float>();
    }

    private NullSpaceReport? Move(bool isConstrained)
    {
        if (isConstrained) {
            return _optimizer!.step();
        }
        _inner.step();
        return null;
    }

    private void Choose()
    {
        Free();
        _masks = SparsityMask.Smallest(_prunable, _sizes.Share);
        foreach ((_, Tensor mask) in _masks) {
            mask.DetachFromDisposeScope();
        }
        Constraint constraint = Constraint.Sparsity(_masks);
        if (_optimizer is null) {
            _optimizer = new NullSpaceOptimizer(_inner, _parameters, constraint, _sizes.Rate);
        } else {
            _optimizer.Constraint = constraint;
        }
    }

    private void Free()
    {
        foreach ((_, Tensor mask) in _masks) {
            mask.Dispose();
        }
        _masks = [];
    }
}

/// <summary>A step: the loss before it, seconds, the bytes of resident memory that it took at its peak, and ‖c‖/√k before it and as predicted after it.</summary>
internal sealed record ScaleStep(int Step, bool IsConstrained, double Loss, double Seconds, long PeakBytes, double? ConstraintNorm, double? Predicted);
