using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using LsmrTorch.Datasets;

namespace LsmrTorch.Experiments.Running;

/// <summary>Options of a command line that say in one sentence what is wrong with their text.</summary>
internal static class Options
{
    /// <summary>A whole number within bounds; null where it is not given.</summary>
    public static Option<long?> WholeNumber(
        string name, string description, long least = long.MinValue, long most = long.MaxValue) => new(name) {
            Description = description,
            HelpName = "N",
            CustomParser = result => {
                string text = result.Tokens[0].Value;
                if (!Int128.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out Int128 value)) {
                    result.AddError($"{name} must be a whole number, but is {Quoted.Text(text)}.");
                } else if (value < least) {
                    result.AddError(least == 0
                        ? $"{name} must not be negative, but is {Quoted.Plain(text)}."
                        : $"{name} must be at least {least}, but is {Quoted.Plain(text)}.");
                } else if (value > most) {
                    result.AddError($"{name} must be at most {most}, but is {Quoted.Plain(text)}.");
                } else {
                    return (long)value;
                }
                return null;
            },
        };

    /// <summary>A finite number of at least, or over, a bound; null where it is not given.</summary>
    public static Option<double?> Number(string name, string description, double least, bool isOver = false) => new(name) {
        Description = description,
        HelpName = "NUMBER",
        CustomParser = result => {
            string text = result.Tokens[0].Value; // no thousands: "0,7" is a mistake, and not 7
            if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)) {
                result.AddError($"{name} must be a number such as 0.01, but is {Quoted.Text(text)}.");
            } else if (!(isOver ? value > least : value >= least)) {
                result.AddError(string.Create(CultureInfo.InvariantCulture,
                    $"{name} must be {(isOver ? "over" : "at least")} {least}, but is {Quoted.Plain(text)}."));
            } else if (!double.IsFinite(value)) {
                result.AddError($"{name} must be finite, but {Quoted.Text(text)} is not.");
            }
            return value;
        },
    };

    /// <summary>A text that is not empty: a file, a folder, a program; null where it is not given.</summary>
    public static Option<string?> Text(string name, string description, string helpName)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = helpName };
        option.Validators.Add(result => {
            foreach (string text in result.Tokens.Select(token => token.Value)) {
                if (string.IsNullOrWhiteSpace(text) || text.Contains('\0')) {
                    result.AddError($"{name} must name something, but is {Quoted.Text(text)}.");
                }
            }
        });
        return option;
    }

    /// <summary>One of a few words, of which the first is the default.</summary>
    public static Option<string> Choice(string name, string description, params string[] words)
    {
        var option = new Option<string>(name) {
            Description = description + $" One of {string.Join(", ", words)} ({words[0]}).",
            HelpName = string.Join('|', words),
            DefaultValueFactory = _ => words[0],
        };
        option.Validators.Add(result => {
            foreach (string word in result.Tokens.Select(token => token.Value).Where(word => !words.Contains(word))) {
                result.AddError($"{name} must be one of {string.Join(", ", words)}, but is {Quoted.Text(word)}.");
            }
        });
        return option;
    }

    /// <summary>A path with all its folders, as the system knows it.</summary>
    /// <exception cref="ExperimentException">No path of the system can be like this.</exception>
    public static string FullPath(string path)
    {
        try {
            return Path.GetFullPath(path);
        } catch (Exception error) when (error is ArgumentException or IOException or NotSupportedException) {
            throw new ExperimentException($"{Quoted.Text(path)} is no path: {error.Message}", error);
        }
    }
}
