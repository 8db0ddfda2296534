using System.Diagnostics;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.FineTune;

/// <summary>
/// A network with its SGD: "dense", or "ours", whose smallest weights are chosen anew every few steps on a cubic ramp (Zhu and Gupta 2017) and held to zero
/// by the null-space method.
/// </summary>
internal sealed class FineTuneLane : IDisposable
{
    private static readonly Scalar s_zero = 0.0f.ToScalar();
    private readonly FineTuneSizes _sizes;
    private readonly long _seed;
    private readonly Parameter[] _parameters, _prunable;
    private readonly SGD _inner;
    private readonly bool _isConstrained;
    private NullSpaceOptimizer? _optimizer;
    private (Parameter Parameter, Tensor Mask)[] _masks = [];

    public FineTuneLane(string name, bool isConstrained, FineTuneSizes sizes, long classes, string? weights, long seed, Device device)
    {
        (Name, _isConstrained, _sizes, _seed) = (name, isConstrained, sizes, seed);
        Model = sizes.Network(classes, seed);
        if (weights is not null) {
            WeightsFile.Load(Model, weights);
        }
        Model.to(device);
        _parameters = [.. Model.parameters()];
        _prunable = [.. _parameters.Where(parameter => parameter.dim() >= 2)];
        _inner = optim.SGD(_parameters, sizes.LearningRate, momentum: sizes.Momentum);
    }

    public string Name { get; }

    public Swin Model { get; }

    /// <summary>One step on normalised images.</summary>
    public FineTuneRecord Step(int step, Tensor images, Tensor labels)
    {
        using var scope = NewDisposeScope();
        int ramp = Math.Max(1, (int)(_sizes.RampPart * _sizes.Steps));
        if (_isConstrained && step % _sizes.ChooseEvery == 0 && step <= ramp + _sizes.ChooseEvery - 1) {
            double left = 1 - Math.Min(1, (double)step / ramp);
            Hold(SparsityMask.Smallest(_prunable, _sizes.Share * (1 - (left * left * left))));
        }
        var watch = Stopwatch.StartNew();
        _inner.ParamGroups.First().LearningRate = _sizes.LearningRate * 0.5 * (1 + Math.Cos(Math.PI * step / _sizes.Steps));
        foreach (Parameter parameter in _parameters) {
            parameter.grad?.fill_(s_zero);
        }
        Model.train();
        manual_seed(Seeds.Derive(_seed, "stochastic depth", step)); // which draws from the global generator
        Tensor loss = nn.functional.cross_entropy(Model.forward(images), labels);
        loss.backward();
        NullSpaceReport? report = null;
        if (_optimizer is null) {
            _inner.step();
        } else {
            _optimizer.Rate = step < ramp ? _sizes.Rate : 1;
            report = _optimizer.step();
        }
        double value = loss.item<float>();
        return double.IsFinite(value)
            ? new FineTuneRecord(Name, step + 1, value, watch.Elapsed.TotalSeconds, report?.ConstraintNorm)
            : throw new ExperimentException($"The loss of '{Name}' is {value} in step {step}; the learning rate is too high.");
    }

    /// <summary>Sets the weights that are held to zero to zero, and says which share of those of matrices and convolutions is zero.</summary>
    public double Finish()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        foreach ((Parameter parameter, Tensor mask) in _masks) {
            parameter.masked_fill_(mask, s_zero);
        }
        return 1 - (_prunable.Sum(parameter => parameter.count_nonzero().item<long>()) / (double)_prunable.Sum(parameter => parameter.numel()));
    }

    /// <summary>How many images of a batch are right.</summary>
    public long Right(Tensor images, Tensor labels)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Model.eval();
        return Model.forward(images).argmax(1).eq(labels).sum().item<long>();
    }

    /// <summary>Puts all of it into a checkpoint.</summary>
    public void Save(Dictionary<string, Tensor> tensors)
    {
        foreach ((string name, Tensor tensor) in Model.state_dict()) {
            tensors[$"{Name}/{name}"] = tensor;
        }
        for (int i = 0; i < _masks.Length; i++) {
            tensors[$"{Name}/mask/{i}"] = _masks[i].Mask;
        }
        tensors[$"{Name}/optimizer"] = OptimizerBytes.Of(writer => {
            if (_optimizer is null) {
                _inner.save_state_dict(writer);
            } else {
                _optimizer.save_state_dict(writer);
            }
        });
    }

    /// <summary>Takes it from the checkpoint of a run with the same sizes.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> tensors)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        foreach ((string name, Tensor tensor) in Model.state_dict()) {
            tensor.copy_(tensors[$"{Name}/{name}"]);
        }
        if (_isConstrained) {
            Hold([.. _prunable.Select((parameter, i) => (parameter, tensors[$"{Name}/mask/{i}"].to(parameter.device, copy: true)))]);
        }
        OptimizerBytes.Read(tensors[$"{Name}/optimizer"], reader => {
            if (_optimizer is null) {
                _inner.load_state_dict(reader);
            } else {
                _optimizer.load_state_dict(reader);
            }
        });
        foreach (SGD.State state in _inner.state_dict().State.Cast<SGD.State>()) {
            state.momentum_buffer?.DetachFromDisposeScope(); // TorchSharp 0.107 leaves them to the caller's scope
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        _inner.Dispose();
        Model.Dispose();
    }

    private void Hold((Parameter, Tensor)[] masks)
    {
        Free();
        _masks = masks;
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
