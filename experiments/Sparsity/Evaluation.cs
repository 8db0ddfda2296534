using LsmrTorch.Experiments.Images;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>What a network is worth on the test images.</summary>
internal static class Evaluation
{
    private const int BatchSize = 256;

    /// <summary>The share of test images whose class is right, with batch statistics as they were learnt.</summary>
    public static double Accuracy(nn.Module<Tensor, Tensor> model, ImageBatches data)
    {
        using IDisposable frozen = no_grad();
        model.eval();
        long correct = 0;
        for (int start = 0; start < data.TestCount; start += BatchSize) {
            using var scope = NewDisposeScope();
            using Batch batch = data.Test(start, BatchSize);
            correct += model.forward(batch.Images).argmax(1).eq(batch.Labels).sum().item<long>();
        }
        return (double)correct / data.TestCount;
    }

    /// <summary>
    /// Lets training batches pass without a step, so that the running batch statistics are those of the weights as they
    /// are now and not of those some steps ago.
    /// </summary>
    public static void SettleBatchStatistics(nn.Module<Tensor, Tensor> model, ImageBatches data, int batches)
    {
        const string phase = "settling";
        using IDisposable frozen = no_grad();
        model.train();
        int[] order = data.Order(phase, 0);
        for (int index = 0; index < batches; index++) {
            using var scope = NewDisposeScope();
            using Batch batch = data.Train(order, phase, 0, index % data.PerEpoch);
            model.forward(batch.Images);
        }
    }
}
