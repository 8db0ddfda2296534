using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <content>What a step asks of the parameters and of their gradients.</content>
public sealed partial class NullSpaceOptimizer
{
    private nint[]? known;          // the inner optimizer's parameters that were found to be apart

    // TorchSharp's own optimizers but LBFGS call a closure once, before all else, and step by the gradients that it
    // left.
    private bool TakesGradientsAsTheyAre => Inner is OptimizerHelper
        && Inner.GetType().Assembly == typeof(OptimizerHelper).Assembly;

    private bool KeepsSquares => Order == ProjectionOrder.Metric
        || Inner is Adam or AdamW or NAdam or RAdam or RMSProp or Adagrad or Adadelta;

    private Parameter[] Moving()
    {
        foreach (Parameter parameter in parameters)
            ParameterIdentity.RequireAlive(parameter, nameof(parameters));
        Parameter[] moving = [.. parameters.Where(p => p.requires_grad)];
        if (moving.Length == 0)
            throw new ArgumentException("No parameter requires a gradient, so none can move.");
        RequireAlike(moving);
        return moving;
    }

    private static void RequireAlike(Parameter[] moving)
    {
        foreach (Parameter p in moving) {
            Require.RealFloat(p.dtype, "a parameter that may move");
            if (p.is_sparse)
                throw new ArgumentException(
                    $"A parameter that may move must be dense, but one of shape {Text.Shape(p.shape)} is sparse.");
            Parameter first = moving[0];
            if (p.dtype != first.dtype || p.device_type != first.device_type || p.device_index != first.device_index)
                throw new ArgumentException(
                    $"Parameters that may move must be of one dtype and on one device, but are {first.dtype} on "
                    + $"{first.device} and {p.dtype} on {p.device}.");
        }
    }

    // Those of the inner optimizer; more may be added between steps. A native one is asked once, as it warns of it and
    // can be given no more.
    private Parameter[] InnerParameters()
    {
        if (Inner is not OptimizerHelper && known is not null)
            return [];
        using var scope = NewDisposeScope();
        Parameter[] inner;
        try {
            inner = [.. Inner.parameters()];
        } catch (ArgumentNullException) {
            known = [];             // an optimizer of a user's own that does not tell
            return [];
        }
        foreach (Parameter parameter in inner)
            ParameterIdentity.RequireAlive(parameter, nameof(Inner));
        nint[] found = [.. inner.Select(ParameterIdentity.Of)];
        if (known is null || !known.AsSpan().SequenceEqual(found)) {
            ParameterIdentity.RequireOnce(inner, "The inner optimizer");
            ParameterIdentity.RequireApart([.. inner.UnionBy(parameters, p => ParameterIdentity.Of(p))], nameof(Inner));
            known = found;
        }
        return Inner is OptimizerHelper ? inner : [];
    }

    private bool GradientsFit(IEnumerable<Parameter> all)
    {
        using var scope = NewDisposeScope();
        Tensor[] gradients = [.. all.Select(p => p.grad).OfType<Tensor>()];
        if (gradients.Length == 0)
            return true;
        return Fit(gradients);
    }

    // Whether all are finite, and their squares where they are kept.
    private bool Fit(IReadOnlyList<Tensor> gradients)
    {
        bool squares = KeepsSquares;
        return gradients.Zip(TensorNorms.Of(gradients)).All(pair => Fits(pair.First, pair.Second, squares));
    }

    private static bool Fits(Tensor gradient, double norm, bool isSquared)
    {
        if (!double.IsFinite(norm))
            return false;
        double root = Math.Sqrt(gradient.dtype switch {
            ScalarType.Float16 => 65504,
            ScalarType.Float64 or ScalarType.ComplexFloat64 => double.MaxValue,
            _ => float.MaxValue,
        });
        if (!isSquared || norm <= root)
            return true;
        using Tensor magnitudes = gradient.abs();
        using Tensor largest = magnitudes.max();
        return Vectors.Read(largest) <= root;
    }

    // Lets the inner optimizer and the projection see dense gradients in place of those of a sparse lookup, which then
    // come back.
    private sealed class DenseGradients : IDisposable
    {
        private readonly List<(Parameter Parameter, Tensor Gradient)> sparse = [];

        public DenseGradients(IEnumerable<Parameter> all, bool comeBack)
        {
            using var guard = no_grad();
            foreach (Parameter parameter in all) {
                if (parameter.grad is not { is_sparse: true } gradient)
                    continue;
                parameter.grad = gradient.to_dense();
                if (comeBack)
                    sparse.Add((parameter, gradient));
            }
        }

        public void Dispose()
        {
            foreach ((Parameter parameter, Tensor gradient) in sparse)
                parameter.grad = gradient;
        }
    }
}
