using LsmrTorch.Experiments.Images;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Preserve;

/// <summary>The outputs of a network, as many as <paramref name="Count"/> from <paramref name="First"/> on, among which images of one kind are classified.</summary>
internal readonly record struct Outputs(int First, int Count)
{
    /// <summary>Their logits, B×Count.</summary>
    public Tensor Of(Tensor logits) => logits.narrow(1, First, Count);

    /// <summary>The cross entropy of a batch whose classes are all among them.</summary>
    public Tensor Loss(Tensor logits, Batch batch)
    {
        using var scope = NewDisposeScope();
        return nn.functional.cross_entropy(Of(logits), Labels(batch)).MoveToOuterDisposeScope();
    }

    /// <summary>How many images of the batch have their largest logit here at their class.</summary>
    public long Right(Tensor logits, Batch batch)
    {
        using var scope = NewDisposeScope();
        return Of(logits).argmax(1).eq(Labels(batch)).sum().item<long>();
    }

    private Tensor Labels(Batch batch)
    {
        using Scalar first = First;
        return batch.Labels.sub(first);
    }
}
