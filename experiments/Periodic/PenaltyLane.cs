using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>The loss and λ times the mean square of c, from the end of the warm-up on.</summary>
internal sealed class PenaltyLane(double weight, PeriodicSizes sizes, PeriodicTask task, long seed, Device device)
    : PeriodicLane(string.Create(CultureInfo.InvariantCulture, $"penalty_{weight}"), sizes, task, seed, device)
{
    /// <summary>λ.</summary>
    public double Weight { get; } = weight;

    protected override Tensor Loss(int step)
    {
        Tensor loss = base.Loss(step);
        if (step < Sizes.WarmUpSteps) {
            return loss;
        }
        using Scalar lambda = Weight.ToScalar();
        Tensor c = PeriodicTask.Residual(Model, Task.Points(step));
        return loss.add(c.mul(c).mean(), lambda);
    }
}
