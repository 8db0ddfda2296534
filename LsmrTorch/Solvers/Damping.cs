using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The damping λ of ‖A x − b‖² + λ²‖x‖²: a number, or a 0-dim tensor that gradients reach. Converts from either.</summary>
public readonly struct Damping
{
    private readonly double number;

    private Damping(double number, Tensor? tensor) => (this.number, Tensor) = (number, tensor);

    /// <summary>The tensor, where λ was given as one.</summary>
    public Tensor? Tensor { get; }

    /// <summary>λ as a number; reads the tensor (one transfer when it lies on a GPU).</summary>
    public double Value => Tensor is null ? number : Vectors.Read(Tensor);

    /// <summary>λ as a number.</summary>
    public static implicit operator Damping(double damp) => new(damp, null);

    /// <summary>λ as a 0-dim tensor.</summary>
    /// <exception cref="ArgumentException">
    /// The tensor has dimensions, is neither float32 nor float64, or is on the device meta.
    /// </exception>
    public static implicit operator Damping(Tensor damp)
    {
        Require.Strided(damp, nameof(damp));
        Require.RealFloat(damp.dtype, "damp");
        return damp.dim() == 0
            ? new(0, damp)
            : throw new ArgumentException($"damp must be a number or a 0-dim tensor, but has shape {Text.Shape(damp.shape)}.", nameof(damp));
    }
}
