namespace LsmrTorch.Experiments.Sparsity;

/// <summary>What changes over the steps of a continuation, the same for every network that it is compared with.</summary>
internal sealed class Schedules(SparsitySizes sizes, int steps)
{
    private readonly int _ramp = Math.Max(1, (int)(sizes.RampPart * steps));
    private readonly int _rise = Math.Max(1, (int)(sizes.RisePart * steps));

    /// <summary>The first step from which the weights are chosen for good.</summary>
    public int Chosen => (_ramp + sizes.ChooseEvery - 1) / sizes.ChooseEvery * sizes.ChooseEvery;

    /// <summary>Whether the smallest weights are chosen anew before this step.</summary>
    public bool ChoosesAt(int step) => step % sizes.ChooseEvery == 0 && step <= Chosen;

    /// <summary>The share that is to vanish: s (1 − (1 − t)³) with t the part of the ramp that is over (Zhu and Gupta 2017).</summary>
    public double Share(int step)
    {
        double left = 1 - Math.Min(1, (double)Math.Max(step, 1) / _ramp);
        return sizes.Share * (1 - (left * left * left));
    }

    /// <summary>
    /// The rate κ of ours: constant at first, then rising to 1, where c is gone in one step, by the step at which the last
    /// weights are chosen. From there on ours and gradual pruning have the same steps left to recover in.
    /// </summary>
    public double Rate(int step)
    {
        double risen = Math.Clamp((double)(step - Chosen + _rise) / _rise, 0, 1);
        return sizes.Rate + ((1 - sizes.Rate) * risen);
    }

    /// <summary>The learning rate: from a tenth of the peak up to it over 15 % of the steps, then half a cosine to 0.</summary>
    public static double LearningRate(int step, int steps, double peak)
    {
        const double warmUp = 0.15;
        double done = (step + 0.5) / steps;
        return done < warmUp
            ? peak * (0.1 + (0.9 * done / warmUp))
            : peak * 0.5 * (1 + Math.Cos(Math.PI * (done - warmUp) / (1 - warmUp)));
    }
}
