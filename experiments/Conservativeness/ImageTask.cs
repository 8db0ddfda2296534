using LsmrTorch.Experiments.Models;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>Images, the training ones flipped at random, and a small U-Net for their score.</summary>
internal sealed class ImageTask(string density, ScoreImages images, ConservativenessSizes sizes, long seed, Device device) : ScoreTask(density, sizes, seed, device)
{
    private readonly ImageSizes _sizes = sizes.Images ?? throw new ArgumentException("Images need the sizes of a network for them.", nameof(sizes));

    /// <inheritdoc/>
    public override int Dimension => images.Dimension;

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor, Tensor> NewNetwork() => new ImageScore(_sizes, Seed);

    /// <inheritdoc/>
    protected override float[] Clean(string use, int count, Random random)
    {
        bool isTraining = use is "batch" or "rotation";
        float[] from = isTraining ? images.Training : images.Test;
        int dimension = Dimension, side = _sizes.Side;
        var points = new float[count * dimension];
        for (int i = 0; i < count; i++) {
            Span<float> image = points.AsSpan(i * dimension, dimension);
            from.AsSpan(random.Next(from.Length / dimension) * dimension, dimension).CopyTo(image);
            if (isTraining && random.Next(2) == 0) {
                for (int row = 0; row < dimension; row += side) {
                    image.Slice(row, side).Reverse();
                }
            }
        }
        return points;
    }
}

/// <summary>A U-Net for images of points B×3·side²: (x, σ) ↦ σ s(x, σ).</summary>
internal sealed class ImageScore : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly int _side;
#pragma warning disable IDE0044 // the field's name begins the state dictionary's keys
    private readonly ScoreUNet unet;
#pragma warning restore IDE0044

    public ImageScore(ImageSizes sizes, long seed) : base(nameof(ImageScore))
    {
        _side = sizes.Side;
        unet = new ScoreUNet(3, sizes.Width, [.. sizes.Multipliers], sizes.Blocks, seed);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, Tensor sigma)
    {
        using var scope = NewDisposeScope();
        Tensor score = unet.forward(x.view(-1, 3, _side, _side), sigma.view(-1));
        return score.reshape(x.shape).mul(sigma).MoveToOuterDisposeScope();
    }
}
