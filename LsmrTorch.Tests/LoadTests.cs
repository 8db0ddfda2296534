using NUnit.Framework;
using TorchSharp;

namespace LsmrTorch.Tests;

public class LoadTests
{
    [Test]
    public void TorchSharp_loads_and_adds()
    {
        using var scope = torch.NewDisposeScope();
        double[] sum = (torch.ones(3, torch.float64) + torch.ones(3, torch.float64)).data<double>().ToArray();
        Assert.That(sum, Is.EqualTo(new double[] { 2, 2, 2 }));
    }
}
