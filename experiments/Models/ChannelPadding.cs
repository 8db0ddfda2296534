using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Models;

/// <summary>
/// The shortcut without parameters where a block halves the image and widens the channels (He et al. 2016, option A):
/// every second pixel, and channels of zeros.
/// </summary>
internal static class ChannelPadding
{
    /// <summary>Maps B×C×H×W to B×<paramref name="channels"/>×(H/stride)×(W/stride).</summary>
    public static Tensor Apply(Tensor x, long channels, long stride)
    {
        using var scope = NewDisposeScope();
        Tensor pixels = stride == 1 ? x : nn.functional.avg_pool2d(x, 1, stride);
        long missing = channels - x.size(1);
        Tensor padded = nn.functional.pad(pixels, [0, 0, 0, 0, missing / 2, missing - (missing / 2)]);
        return padded.MoveToOuterDisposeScope();
    }
}
