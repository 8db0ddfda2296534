using NUnit.Framework;
using TorchSharp;

namespace LsmrTorch.Tests.Experiments;

/// <summary>Tests of an experiment that is run once, as "whole" in a folder of its own, and looked at by each.</summary>
public abstract class ExperimentRunTests
{
    private int _threads;

    /// <summary>Where the run and those of single tests are.</summary>
    internal TemporaryFolder Folder { get; private set; } = null!;

    /// <summary>The whole run's exit code.</summary>
    protected int Code { get; private set; }

    /// <summary>What the whole run printed.</summary>
    protected string Output { get; private set; } = "";

    /// <summary>Runs the experiment into the folder "whole".</summary>
    protected abstract (int Code, string Output) RunWhole();

    [OneTimeSetUp]
    public void RunOnce()
    {
        _threads = torch.get_num_threads();
        Folder = new TemporaryFolder();
        (Code, Output) = RunWhole();
    }

    [OneTimeTearDown]
    public void Delete()
    {
        torch.set_num_threads(_threads);
        Folder.Dispose();
    }
}
