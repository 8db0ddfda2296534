using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Equivariance;

/// <summary>What a network is worth on the test images.</summary>
/// <param name="Accuracy">The share of them that is right.</param>
/// <param name="Transformed">The same under a random symmetry for each, the same ones for every network.</param>
/// <param name="Error">‖f(gx) − f(x)‖/‖f(x)‖ over all of them.</param>
internal readonly record struct EquivarianceMeasure(double Accuracy, double Transformed, double Error)
{
    private const int BatchSize = 256;

    public static EquivarianceMeasure Of(FieldNet model, ImageBatches data, long seed)
    {
        using IDisposable frozen = no_grad();
        model.eval();
        long right = 0, rightTransformed = 0;
        double difference = 0, size = 0;
        for (int start = 0; start < data.TestCount; start += BatchSize) {
            using var scope = NewDisposeScope();
            using Batch batch = data.Test(start, BatchSize);
            Tensor logits = model.forward(batch.Images);
            Tensor transformed = model.forward(RandomSymmetries.Of(batch.Images, Seeds.Managed(seed, "test symmetries", start)));
            right += logits.argmax(1).eq(batch.Labels).sum().item<long>();
            rightTransformed += transformed.argmax(1).eq(batch.Labels).sum().item<long>();
            difference += transformed.sub(logits).to_type(ScalarType.Float64).square().sum().item<double>();
            size += logits.to_type(ScalarType.Float64).square().sum().item<double>();
        }
        model.train();
        return new EquivarianceMeasure((double)right / data.TestCount, (double)rightTransformed / data.TestCount, Math.Sqrt(difference / size));
    }
}
