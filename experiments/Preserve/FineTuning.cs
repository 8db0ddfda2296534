using System.Diagnostics;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Preserve;

/// <summary>
/// A copy of the network that was trained on old images, trained on with new ones by one of four methods: "plain"; "ours", every step projected so that the
/// logits of the protected images stay those of the old network; "replay", their cross entropy added with a weight; "distillation", the mean square of
/// their logits' change added with a weight. All see the same new and protected images. Batch statistics stay those of the old network.
/// </summary>
internal sealed class FineTuning : IDisposable
{
    private static readonly Scalar s_zero = 0.0f.ToScalar();
    private readonly string _method;
    private readonly double _weight;
    private readonly PreserveSizes _sizes;
    private readonly Outputs _oldOutputs, _newOutputs;
    private readonly nn.Module<Tensor, Tensor> _model, _old;
    private readonly Parameter[] _parameters;
    private readonly SGD _inner;
    private readonly NullSpaceOptimizer _optimizer;
    private Batch? _protected;
    private Tensor? _logits;        // of the protected images, by the old network

    public FineTuning(string method, double weight, nn.Module<Tensor, Tensor> old, PreserveSizes sizes, (Outputs Old, Outputs New) outputs, Device device)
    {
        (_method, _weight, _old, _sizes) = (method, weight, old, sizes);
        (_oldOutputs, _newOutputs) = outputs;
        _model = sizes.Training.NewNetwork(seed: 0);
        _model.to(device);
        using (var scope = NewDisposeScope())
        using (no_grad()) {
            Dictionary<string, Tensor> source = old.state_dict();
            foreach ((string key, Tensor target) in _model.state_dict()) {
                target.copy_(source[key]);
            }
        }
        _model.eval();
        _old.eval();
        _parameters = [.. _model.parameters()];
        _inner = optim.SGD(_parameters, sizes.LearningRate, momentum: sizes.Momentum);
        _optimizer = new NullSpaceOptimizer(_inner, _parameters, Constraint.FromResidual(Change, JacobianProducts.Differences), sizes.Rate) {
            Tolerance = sizes.Tolerance,
            MaxIterations = sizes.Iterations,
        };
    }

    public nn.Module<Tensor, Tensor> Model => _model;

    /// <summary>Iterations of each step's solve.</summary>
    public List<int> Iterations { get; } = [];

    /// <summary>One step on new images, with protected ones beside them; returns the seconds it took.</summary>
    public double Step(Batch fresh, Batch guarded, double learningRate)
    {
        var watch = Stopwatch.StartNew();
        using var scope = NewDisposeScope();
        _protected = guarded;
        _inner.ParamGroups.First().LearningRate = learningRate;
        foreach (Parameter parameter in _parameters) {
            parameter.grad?.fill_(s_zero);
        }
        if (_method is "ours" or "distillation") {
            using IDisposable frozen = no_grad();
            _logits = _oldOutputs.Of(_old.forward(guarded.Images));
        }
        Tensor loss = _newOutputs.Loss(_model.forward(fresh.Images), fresh);
        using Scalar weight = _weight.ToScalar();
        if (_method == "replay") {
            loss = loss.add(_oldOutputs.Loss(_model.forward(guarded.Images), guarded), weight);
        } else if (_method == "distillation") {
            loss = loss.add(Change().square().mean(), weight);
        }
        loss.backward();
        nn.utils.clip_grad_norm_(_parameters, _sizes.Clip);
        if (_method == "ours") {
            Iterations.Add(_optimizer.step().Iterations);
        } else {
            _inner.step();
        }
        float value = loss.item<float>();
        return float.IsFinite(value) ? watch.Elapsed.TotalSeconds : throw new ExperimentException($"The loss of '{_method}' is {value}; its learning rate or weight is too high.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _inner.Dispose();
        _model.Dispose();
    }

    // c: zero as long as the parameters are those of the old network.
    private Tensor Change() => _oldOutputs.Of(_model.forward(_protected!.Images)).sub(_logits!);
}
