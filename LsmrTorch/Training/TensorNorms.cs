using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The norms of several tensors, from a device in one transfer.</summary>
internal static class TensorNorms
{
    /// <summary>The Euclidean norm of each; NaN or infinite where an entry is.</summary>
    public static double[] Of(IReadOnlyList<Tensor> tensors)
    {
        using var guard = no_grad();
        if (tensors.All(x => x.device_type == DeviceType.CPU))
            return [.. tensors.Select(Vectors.Norm)];
        using var scope = NewDisposeScope();
        double[] norms = Vectors.ReadAll(stack([.. tensors.Select(x => x.norm().to(float64).to(tensors[0].device))]));
        for (int i = 0; i < norms.Length; i++) {
            if (!double.IsFinite(norms[i]))     // squares that overflow, perhaps
                norms[i] = Vectors.Norm(tensors[i]);
        }
        return norms;
    }
}
