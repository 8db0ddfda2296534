using System.Text;
using System.Text.Json.Nodes;

namespace LsmrTorch.Experiments.Running;

/// <summary>The rows that are printed and written, ours beside its baselines.</summary>
internal sealed record SummaryTable(string[] Columns, IReadOnlyList<string[]> Rows);

/// <summary>What a run found: a question, a table, and the numbers that both come from.</summary>
internal sealed record Summary
{
    /// <summary>One line above everything.</summary>
    public required string Title { get; init; }

    /// <summary>What the experiment asks, and what would refute the answer.</summary>
    public required string Question { get; init; }

    /// <summary>Ours beside its baselines, made from <see cref="Figures"/>.</summary>
    public required SummaryTable Table { get; init; }

    /// <summary>Name to number, in the order in which they are written.</summary>
    public required IReadOnlyDictionary<string, double> Figures { get; init; }

    /// <summary>Which of the run's checks failed, in one sentence, which makes the exit code 1; null where all held.</summary>
    public string? Failure { get; init; }

    /// <summary>Sentences on how to read the table.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Paths of the plots, relative to the run's folder.</summary>
    public IReadOnlyList<string> Plots { get; init; } = [];

    /// <summary>The same for machines; a figure that is no finite number is written as null.</summary>
    public JsonObject ToJson(JsonObject provenance)
    {
        var figures = new JsonObject();
        foreach ((string name, double value) in Figures) {
            figures[name] = double.IsFinite(value) ? JsonValue.Create(value) : null;
        }
        return new JsonObject {
            ["title"] = Title,
            ["question"] = Question,
            ["figures"] = figures,
            ["table"] = new JsonObject {
                ["columns"] = Strings(Table.Columns),
                ["rows"] = new JsonArray([.. Table.Rows.Select(row => (JsonNode)Strings(row))]),
            },
            ["notes"] = Strings(Notes),
            ["plots"] = Strings(Plots),
            ["provenance"] = provenance.DeepClone(),
        };
    }

    /// <summary>The same for readers.</summary>
    public string ToMarkdown(JsonObject provenance)
    {
        var text = new StringBuilder();
        text.AppendLine($"# {Title}").AppendLine().AppendLine(Question).AppendLine();
        AppendRow(text, Table.Columns);
        AppendRow(text, Table.Columns.Select(_ => "---"));
        foreach (string[] row in Table.Rows) {
            AppendRow(text, row);
        }
        text.AppendLine();
        foreach (string note in Notes) {
            text.AppendLine($"* {note}");
        }
        text.AppendLine().AppendLine("## Figures").AppendLine();
        AppendRow(text, ["figure", "value"]);
        AppendRow(text, ["---", "---"]);
        foreach ((string name, double value) in Figures) {
            AppendRow(text, [$"`{name}`", $"{value:G6}"]);
        }
        if (Plots.Count > 0) {
            text.AppendLine().AppendLine("## Plots").AppendLine();
            foreach (string plot in Plots) {
                text.AppendLine($"![{Path.GetFileNameWithoutExtension(plot)}]({plot})").AppendLine();
            }
        }
        text.AppendLine().AppendLine("## Run").AppendLine();
        AppendRow(text, ["what", "value"]);
        AppendRow(text, ["---", "---"]);
        foreach ((string name, JsonNode? value) in provenance) {
            AppendRow(text, [name, value?.ToString() ?? "unknown"]);
        }
        return text.ToString();
    }

    private static JsonArray Strings(IEnumerable<string> values) =>
        new([.. values.Select(value => (JsonNode)JsonValue.Create(value))]);

    private static void AppendRow(StringBuilder text, IEnumerable<string> cells) =>
        text.Append("| ").AppendJoin(" | ", cells).AppendLine(" |");
}
