using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>
/// The loss and λ times the mean square of c, after a short warm-up (the penalty of QCSBM: Chao et al. 2023), with
/// one or several descents in a step of the others.
/// </summary>
internal sealed class PenaltyLane(double weight, int descents, ConservativenessSizes sizes, ScoreTask task)
    : ScoreLane(NameOf(weight, descents), sizes, task)
{
    private Rotation Rotation => field ??= new Rotation(Task, Network, Sizes.Points);

    /// <summary>The word for it: a step of several descents is said.</summary>
    public static string NameOf(double weight, int descents) =>
        string.Create(CultureInfo.InvariantCulture, $"penalty_{weight}") + (descents == 1 ? "" : "_long");

    /// <inheritdoc/>
    public override int FirstStep => Sizes.PenaltyWarmUpSteps;

    protected override double Take(int step)
    {
        double loss = 0;
        for (int i = 0; i < descents; i++) {
            // The first descent is on the points that the other lanes see, the others on points of their own.
            loss = Descend(step, i == 0 ? step : (long)Sizes.Steps + (step * (long)descents) + i);
        }
        return loss;
    }

    protected override Tensor Loss(int step, long points)
    {
        Tensor loss = base.Loss(step, points);
        using Scalar lambda = ((float)weight).ToScalar();
        Tensor c = Rotation.At(points).Residual();
        return loss.add(c.mul(c).mean(), lambda);
    }
}
