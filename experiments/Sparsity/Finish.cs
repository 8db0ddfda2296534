using LsmrTorch.Experiments.Images;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>A network at its end: accuracy before and after zeroing, ‖c‖/√k before it, the share of exact zeros.</summary>
internal sealed record Finish(
    string Network, double AccuracyBefore, double Accuracy, double ConstraintNorm, double Sparsity, long WeightCount, float[] Weights)
{
    /// <summary>Settles the batch statistics, measures, sets what was to vanish to exactly zero, and measures again.</summary>
    public static Finish Of(Lane lane, SparsitySizes sizes, ImageBatches data)
    {
        Evaluation.SettleBatchStatistics(lane.Model, data, sizes.SettleBatches);
        double before = Evaluation.Accuracy(lane.Model, data);
        double constraintNorm = lane.Mask is null ? 0 : lane.Weights.RootMeanSquare(lane.Mask);
        if (lane.Mask is not null) {
            lane.Weights.Zero(lane.Mask);
        }
        using Tensor weights = lane.Weights.Flat();
        return new Finish(lane.Name, before, Evaluation.Accuracy(lane.Model, data), constraintNorm,
            (double)lane.Weights.CountZeros() / lane.Weights.Count, lane.Weights.Count, weights.cpu().data<float>().ToArray());
    }
}
