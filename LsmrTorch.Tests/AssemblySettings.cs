using LsmrTorch.Experiments.Running;
using NUnit.Framework;

// Every test runs where numbers are written with a comma: what we read and write must not depend on it.
[assembly: SetCulture("de-DE")]

/// <summary>Before the first test, as for an experiment that trains: runs are compared to the bit. (Outside of namespaces, so that it is for all.)</summary>
[SetUpFixture]
public class ReproducibleSums
{
    [OneTimeSetUp]
    public void Set() => NativeEnvironment.MakeReproducible();
}
