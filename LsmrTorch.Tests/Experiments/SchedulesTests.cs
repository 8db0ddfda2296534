using LsmrTorch.Experiments.Sparsity;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

public class SchedulesTests
{
    private const int Steps = 200;
    private static readonly SparsitySizes s_sizes = SparsitySizes.Of("small");
    private readonly Schedules _schedules = new(s_sizes, Steps);

    [Test]
    public void The_share_rises_from_little_to_all_of_it_and_stays()
    {
        double[] shares = [.. Enumerable.Range(0, Steps).Select(_schedules.Share)];
        Assert.That(shares, Is.Ordered);
        Assert.That(shares[0], Is.GreaterThan(0).And.LessThan(0.05));
        Assert.That(shares[100..], Is.All.EqualTo(0.9));
    }

    [Test]
    public void The_share_is_cubic()
    {
        Assert.That(_schedules.Share(50), Is.EqualTo(0.9 * (1 - 0.125)).Within(1e-12)); // half of a ramp of 100 steps
    }

    [Test]
    public void Weights_are_chosen_for_good_with_the_whole_share()
    {
        int[] choices = [.. Enumerable.Range(0, Steps).Where(_schedules.ChoosesAt)];
        Assert.That(choices[0], Is.Zero);
        Assert.That(choices[^1], Is.EqualTo(_schedules.Chosen));
        Assert.That(_schedules.Share(_schedules.Chosen), Is.EqualTo(0.9));
    }

    [Test]
    public void The_rate_is_low_for_most_of_the_ramp_and_one_from_the_last_choice_on()
    {
        int rise = (int)(s_sizes.RisePart * Steps);
        Assert.That(Enumerable.Range(0, _schedules.Chosen - rise + 1).Select(_schedules.Rate), Is.All.EqualTo(s_sizes.Rate));
        Assert.That(Enumerable.Range(0, Steps).Select(_schedules.Rate), Is.Ordered.Ascending);
        Assert.That(Enumerable.Range(_schedules.Chosen, Steps - _schedules.Chosen).Select(_schedules.Rate), Is.All.EqualTo(1));
    }

    [Test]
    public void The_learning_rate_warms_up_and_ends_near_zero()
    {
        double[] rates = [.. Enumerable.Range(0, Steps).Select(step => Schedules.LearningRate(step, Steps, 0.1))];
        Assert.That(rates[0], Is.EqualTo(0.01).Within(0.002));
        Assert.That(rates.Max(), Is.EqualTo(0.1).Within(0.001));
        Assert.That(Array.IndexOf(rates, rates.Max()), Is.EqualTo(30).Within(1));
        Assert.That(rates[^1], Is.GreaterThan(0).And.LessThan(1e-4));
    }
}
