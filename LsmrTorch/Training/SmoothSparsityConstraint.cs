using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Of each layer c = (1/n) Σ θ²/(θ² + ε²) − (1 − share), with t = θ/ε: t²/(1 + t²); J's row is 2 θ ε²/(n (θ² + ε²)²) =
/// 2 t/(εn (1 + t²)²).
/// </summary>
internal sealed class SmoothSparsityConstraint : Constraint
{
    private const double OfRootMeanSquare = 0.3;
    private const double Certain = 1e9;         // |t| that counts as 1 to the last digit; its fourth power fits float32

    private readonly Parameter[] layers;
    private readonly double[] scales;
    private readonly double left;

    public SmoothSparsityConstraint(Parameter[] layers, double share, IReadOnlyList<double>? scales)
    {
        if (scales is null)
            layers = ParameterIdentity.Distinct(layers, nameof(layers));
        if (layers.Length == 0)
            throw new ArgumentException("There must be at least one layer.", nameof(layers));
        foreach (Parameter layer in layers) {
            ParameterIdentity.RequireAlive(layer, nameof(layers));
            if (layer.numel() == 0)
                throw new ArgumentException(
                    $"A layer must have weights, but one is of shape {Text.Shape(layer.shape)}.", nameof(layers));
        }
        ParameterIdentity.RequireOnce(layers, "Layers with scales");
        if (!(share is >= 0 and <= 1))
            throw new ArgumentException($"The share must be from 0 to 1, but is {Text.Exact(share)}.", nameof(share));
        if (scales is not null && scales.Count != layers.Length)
            throw new ArgumentException($"There must be a scale for each of the {layers.Length} layers, but there are {scales.Count}.", nameof(scales));
        (this.layers, left) = (layers, 1 - share);
        this.scales = [.. scales ?? layers.Select(RootMeanSquare)];
        foreach (double scale in this.scales) {
            if (!(scale > 0 && double.IsFinite(scale)))
                throw new ArgumentException($"A scale must be over 0 and finite, but is {Text.Exact(scale)}.", nameof(scales));
        }
    }

    private static double RootMeanSquare(Parameter layer)
    {
        using Tensor values = layer.detach();
        return OfRootMeanSquare * Vectors.Norm(values) / Math.Sqrt(Math.Max(1, layer.numel()));
    }

    public override (Tensor, LinearOperator) Linearize(IReadOnlyList<Parameter> parameters)
    {
        using var guard = no_grad();
        var residuals = new double[layers.Length];
        var blocks = new (int, LinearOperator)[layers.Length][];
        for (int i = 0; i < layers.Length; i++) {
            (residuals[i], LinearOperator row) = Layer(layers[i].detach(), scales[i]);
            int place = BlockJacobian.Place(parameters, layers[i]);
            blocks[i] = place < 0 ? [] : [(place, row)];
        }
        return (Vectors.Row(residuals, layers[0]), new BlockJacobian(parameters, blocks, [.. layers.Select(_ => 1L)]));
    }

    private (double Residual, LinearOperator Row) Layer(Tensor theta, double scale)
    {
        using var scope = NewDisposeScope();
        using Scalar epsilon = scale;
        using Scalar one = 1.0;
        using Scalar least = -Certain;
        using Scalar most = Certain;
        using Scalar factor = 2 / (scale * theta.numel());
        Tensor t = theta.div(epsilon).clamp_(least, most), squares = t.square(), sums = squares.add(one);
        double count = Vectors.Read(squares.div(sums).sum().to(float64)) / theta.numel();
        Tensor row = t.div(sums.square()).mul_(factor);
        return (count - left, new InnerProduct(scope.MoveToOuter(row)));
    }
}
