using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Models;

/// <summary>
/// The network 1-h-h-1 with tanh. Its first layer is initialised so that the steep parts of its features lie evenly
/// over an interval: feature i is tanh(a (x − cᵢ)) with centres cᵢ from end to end and slopes ±a of about three centres'
/// width. The default initialisation puts all of them near zero, and a network that must fit far from there cannot.
/// </summary>
internal sealed class Mlp : nn.Module<Tensor, Tensor>
{
#pragma warning disable IDE0044, CA1859 // the fields' names are the state dictionary's keys
    private readonly Linear fc1;
    private readonly Linear fc2;
    private readonly Linear fc3;
#pragma warning restore IDE0044, CA1859

    /// <summary>A network whose first features cover [low, high]; weights are drawn from <paramref name="seed"/>.</summary>
    public Mlp(int hidden, double low, double high, long seed, ScalarType dtype = ScalarType.Float32) : base(nameof(Mlp))
    {
        if (hidden < 2 || !(low < high)) {
            throw new ArgumentException($"An Mlp needs hidden ≥ 2 and low < high, but has {hidden}, {low}, {high}.");
        }
        fc1 = nn.Linear(1, hidden, dtype: dtype);
        fc2 = nn.Linear(hidden, hidden, dtype: dtype);
        fc3 = nn.Linear(hidden, 1, dtype: dtype);
        RegisterComponents();
        Initialise(low, high, Seeds.Managed(seed, "weights"));
    }

    /// <summary>Maps B×1 to B×1.</summary>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor features = fc2.forward(fc1.forward(x).tanh_()).tanh_();
        return fc3.forward(features).MoveToOuterDisposeScope();
    }

    private void Initialise(double low, double high, Random random)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        long hidden = fc1.weight!.size(0);
        var slopes = new double[hidden];
        var offsets = new double[hidden];
        double width = (high - low) / (hidden - 1);
        for (int i = 0; i < hidden; i++) {
            double centre = low + (i * width);
            slopes[i] = (random.Next(2) == 0 ? -1 : 1) / (3 * width) * (0.5 + random.NextDouble());
            offsets[i] = -slopes[i] * centre;
        }
        fc1.weight.copy_(tensor(slopes).view(hidden, 1));
        fc1.bias!.copy_(tensor(offsets));
        foreach (Linear layer in new[] { fc2, fc3 }) {
            double bound = Math.Sqrt(3.0 / hidden); // variance 1 / fan in (LeCun et al. 1998)
            var values = new double[layer.weight!.numel()];
            for (int i = 0; i < values.Length; i++) {
                values[i] = bound * ((2 * random.NextDouble()) - 1);
            }
            layer.weight.copy_(tensor(values).view(layer.weight.shape));
            using Scalar zero = 0.0.ToScalar();
            layer.bias!.fill_(zero);
        }
    }
}
