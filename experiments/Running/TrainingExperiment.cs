using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using TorchSharp;

namespace LsmrTorch.Experiments.Running;

/// <summary>
/// An experiment that trains: it has presets, a device, a seed, checkpoints, and ends in a summary. A subclass says
/// which sizes a preset has and what happens; options, folder, config.json, summary and messages are the same for all.
/// </summary>
/// <typeparam name="TSizes">Everything besides the command line that decides what comes out; kept in config.json.</typeparam>
internal abstract class TrainingExperiment<TSizes>(string name, string description) : Experiment(name, description)
    where TSizes : notnull
{
    /// <summary>Whether the preset 'paper' is a scale that a CPU takes days for, which is then said.</summary>
    protected virtual bool PaperTakesDays => true;

    /// <summary>The sizes of a preset.</summary>
    /// <exception cref="ExperimentException">This experiment has no such preset.</exception>
    protected abstract TSizes SizesOf(RunSettings settings);

    /// <summary>Trains (from the checkpoint where the settings say so) and returns what was found, plots written.</summary>
    protected abstract Summary Train(TSizes sizes, RunContext context);

    /// <inheritdoc/>
    public override Command CreateCommand(RunConsole console)
    {
        var options = new CommonOptions();
        var command = new Command(Name, Description);
        options.AddTo(command);
        command.SetAction(parsed => {
            RunSettings settings = options.Read(parsed, Name);
            return Execute(SizesOf(settings), settings, console);
        });
        return command;
    }

    /// <summary>Runs with sizes that need not be those of a preset.</summary>
    internal int Execute(TSizes sizes, RunSettings settings, RunConsole console)
    {
        NativeEnvironment.MakeReproducible();
        using var numbers = new InvariantNumbers();
        torch.Device device = Devices.Open(settings);
        if (PaperTakesDays && settings is { Preset: "paper", Device: "cpu" }) {
            console.Error.WriteLine("Warning: the preset 'paper' is the published scale, which takes days on a CPU.");
        }
        using var folder = new RunFolder(Options.FullPath(settings.Out), OptionsOf(sizes, settings));
        Summary summary = Train(sizes, new RunContext(settings, device, folder, console));
        folder.WriteSummary(summary, device);

        console.Out.WriteLine();
        console.Out.WriteLine(summary.Title);
        console.WriteTable(summary.Table);
        foreach (string note in summary.Notes) {
            console.Out.WriteLine(note);
        }
        console.Out.WriteLine($"Plots: {Quoted.Path(Path.Combine(settings.Out, "plots"))}.");
        console.Out.WriteLine($"Figures: {Quoted.Path(Path.Combine(settings.Out, "summary.json"))}.");
        if (summary.Failure is string failure) {
            console.Error.WriteLine(failure);
            return ExitCode.Failure;
        }
        return ExitCode.Success;
    }

    private JsonObject OptionsOf(TSizes sizes, RunSettings settings) => new() {
        ["experiment"] = Name,
        ["preset"] = settings.Preset,
        ["data"] = settings.Data is null ? null : Options.FullPath(settings.Data),
        ["device"] = settings.Device,
        ["seed"] = settings.Seed,
        ["threads"] = settings.Threads,
        ["sizes"] = JsonSerializer.SerializeToNode(sizes),
    };
}
