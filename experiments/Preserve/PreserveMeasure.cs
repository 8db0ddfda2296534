using LsmrTorch.Experiments.Images;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Preserve;

/// <summary>What a network is worth on images that are measured on.</summary>
/// <param name="Accuracy">The share that is right.</param>
/// <param name="Change">‖f(x) − f₀(x)‖/‖f₀(x)‖ over all of them, f₀ the old network.</param>
internal readonly record struct PreserveMeasure(double Accuracy, double Change)
{
    private const int BatchSize = 256;

    public static PreserveMeasure Of(nn.Module<Tensor, Tensor> model, nn.Module<Tensor, Tensor> old, ImageBatches data, Outputs outputs)
    {
        using IDisposable frozen = no_grad();
        model.eval();
        old.eval();
        long right = 0;
        double difference = 0, size = 0;
        for (int start = 0; start < data.TestCount; start += BatchSize) {
            using var scope = NewDisposeScope();
            using Batch batch = data.Test(start, BatchSize);
            Tensor logits = model.forward(batch.Images), before = old.forward(batch.Images);
            right += outputs.Right(logits, batch);
            logits = outputs.Of(logits);
            difference += logits.sub(outputs.Of(before)).to_type(ScalarType.Float64).square().sum().item<double>();
            size += outputs.Of(before).to_type(ScalarType.Float64).square().sum().item<double>();
        }
        return new PreserveMeasure((double)right / data.TestCount, Math.Sqrt(difference / size));
    }
}
