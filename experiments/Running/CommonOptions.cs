using System.CommandLine;

namespace LsmrTorch.Experiments.Running;

/// <summary>The options of every experiment that trains.</summary>
internal sealed class CommonOptions
{
    private readonly Option<string> _preset = Choice("--preset", "The scale of the run.", "smoke", "small", "paper");
    private readonly Option<string?> _data = new("--data") {
        Description = "The folder of the real data; without it, generated data.",
        HelpName = "DIR",
    };

    private readonly Option<string> _device = Choice("--device", "Where to compute.", "cpu", "cuda");
    private readonly Option<long> _seed = new("--seed") {
        Description = "Every random number derives from it (0).",
        HelpName = "N",
    };

    private readonly Option<int?> _threads = new("--threads") {
        Description = "Threads to compute with (one per core).",
        HelpName = "N",
    };

    private readonly Option<string?> _out = new("--out") {
        Description = "The folder of the results (results/NAME-PRESET).",
        HelpName = "DIR",
    };

    private readonly Option<bool> _resume = new("--resume") { Description = "Go on from the checkpoint in --out." };

    public CommonOptions()
    {
        _threads.Validators.Add(result => {
            if (result.GetValueOrDefault<int?>() is < 1) {
                result.AddError("--threads must be at least 1.");
            }
        });
    }

    /// <summary>Makes the command understand them.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _preset, _data, _device, _seed, _threads, _out, _resume }) {
            command.Options.Add(option);
        }
    }

    /// <summary>What the command line said.</summary>
    public RunSettings Read(ParseResult parsed, string experiment)
    {
        string preset = parsed.GetRequiredValue(_preset);
        return new RunSettings {
            Preset = preset,
            Data = parsed.GetValue(_data),
            Device = parsed.GetRequiredValue(_device),
            Seed = parsed.GetValue(_seed),
            Threads = parsed.GetValue(_threads),
            Out = parsed.GetValue(_out) ?? Path.Combine("results", $"{experiment}-{preset}"),
            Resume = parsed.GetValue(_resume),
        };
    }

    /// <summary>An option that takes one of a few words; the first is the default.</summary>
    private static Option<string> Choice(string name, string description, params string[] words)
    {
        var option = new Option<string>(name) {
            Description = description + $" One of {string.Join(", ", words)} ({words[0]}).",
            HelpName = string.Join('|', words),
            DefaultValueFactory = _ => words[0],
        };
        option.Validators.Add(result => {
            if (result.GetValueOrDefault<string>() is string word && !words.Contains(word)) {
                result.AddError($"{name} must be one of {string.Join(", ", words)}, but is '{word}'.");
            }
        });
        return option;
    }
}
