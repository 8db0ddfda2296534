using System.CommandLine;

namespace LsmrTorch.Experiments.Running;

/// <summary>The options of every experiment that trains.</summary>
internal sealed class CommonOptions
{
    // libtorch starts as many as it is told to, and the process dies where the system has no more.
    private const int MostThreads = 1024;

    private readonly Option<string> _preset = Options.Choice("--preset", "The scale of the run.", "smoke", "small", "paper");
    private readonly Option<string?> _data =
        Options.Text("--data", "The folder of the real data; without it, generated data.", "DIR");

    private readonly Option<string> _device = Options.Choice("--device", "Where to compute.", "cpu", "cuda");
    private readonly Option<long?> _seed = Options.WholeNumber("--seed", "Every random number derives from it (0).");
    private readonly Option<long?> _threads =
        Options.WholeNumber("--threads", "Threads to compute with (one per core).", 1, MostThreads);

    private readonly Option<string?> _out = Options.Text("--out", "The folder of the results (results/NAME-PRESET).", "DIR");
    private readonly Option<bool> _resume = new("--resume") { Description = "Go on from the checkpoint in --out." };
    private readonly Option<bool> _overwrite = new("--overwrite") {
        Description = "Start afresh though --out holds an unfinished run, or one with other options.",
    };

    /// <summary>Makes the command understand them.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _preset, _data, _device, _seed, _threads, _out, _resume, _overwrite }) {
            command.Options.Add(option);
        }
        command.Validators.Add(result => {
            if (result.GetResult(_resume) is not null && result.GetResult(_overwrite) is not null) {
                result.AddError("--resume and --overwrite exclude each other: the one keeps what the other replaces.");
            }
        });
    }

    /// <summary>What the command line said.</summary>
    public RunSettings Read(ParseResult parsed, string experiment)
    {
        string preset = parsed.GetRequiredValue(_preset);
        return new RunSettings {
            Preset = preset,
            Data = parsed.GetValue(_data),
            Device = parsed.GetRequiredValue(_device),
            Seed = parsed.GetValue(_seed) ?? 0,
            Threads = (int?)parsed.GetValue(_threads),
            Out = parsed.GetValue(_out) ?? Path.Combine("results", $"{experiment}-{preset}"),
            Resume = parsed.GetValue(_resume),
            Overwrite = parsed.GetValue(_overwrite),
        };
    }
}
