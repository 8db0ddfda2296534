using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// How a tensor's numbers are kept. TorchSharp tells of coordinates (COO) alone; the others are asked of libtorch.
/// </summary>
internal static class Layout
{
    // The numbers of c10::Layout.
    public const long Strided = 0, Coordinates = 1, CompressedRows = 2;

    private static readonly Lazy<jit.CompilationUnit> script = new(() => jit.compile("""
        def layout(x):
            return x.layout

        """));

    /// <summary>One of the numbers above, or another one.</summary>
    public static long Of(Tensor x)
    {
        if (x.is_sparse)
            return Coordinates;
        if (x.dim() < 2)
            return Strided;
        try {
            _ = x.stride(0);
            return Strided;
        } catch (ExternalException) {       // compressed tensors have no strides
            using var found = (Scalar)script.Value.invoke("layout", x);
            return found.ToInt64();
        }
    }

    /// <summary>x, or where it is sparse a dense tensor of its entries; carries gradients.</summary>
    public static Tensor Dense(Tensor x) => Of(x) == Strided ? x : x.to_dense();
}
