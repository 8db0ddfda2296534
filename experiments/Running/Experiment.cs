using System.CommandLine;

namespace LsmrTorch.Experiments.Running;

/// <summary>One question, one name on the command line.</summary>
internal abstract class Experiment(string name, string description)
{
    /// <summary>The name on the command line and of the results' folder.</summary>
    public string Name { get; } = name;

    /// <summary>One sentence for the help.</summary>
    public string Description { get; } = description;

    /// <summary>The command with its options; its action returns the exit code.</summary>
    public abstract Command CreateCommand(RunConsole console);
}
