using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>
/// Images as points: squares of 32/side pixels averaged, the mean of each channel taken away and its deviation divided out (both of the training
/// images), 3·side² numbers each, one image after the other.
/// </summary>
internal sealed class ScoreImages
{
    /// <summary>Pixels in a row of the images that come in.</summary>
    public const int Side = 32;

    /// <param name="training">Images B×3×32×32, uint8.</param>
    /// <param name="test">The same that no network sees.</param>
    /// <param name="side">Pixels in a row of what becomes of them; it divides 32.</param>
    public ScoreImages(Tensor training, Tensor test, int side)
    {
        if (side < 1 || Side % side != 0) {
            throw new ArgumentException($"The side of an image must divide {Side}, but is {side}.", nameof(side));
        }
        using var scope = NewDisposeScope();
        Dimension = 3 * side * side;
        Tensor train = Averaged(training), tested = Averaged(test);
        Tensor mean = train.mean([0L, 2, 3], keepdim: true), deviation = train.std([0L, 2, 3], keepdim: true);
        Training = Numbers(train);
        Test = Numbers(tested);

        Tensor Averaged(Tensor images) => nn.functional.avg_pool2d(images.to_type(ScalarType.Float32), Side / side);
        float[] Numbers(Tensor images) => images.sub(mean).div(deviation).contiguous().data<float>().ToArray();
    }

    /// <summary>Numbers of an image.</summary>
    public int Dimension { get; }

    public float[] Training { get; }

    public float[] Test { get; }
}
