using Spectre.Console;

namespace LsmrTorch.Experiments.Running;

/// <summary>Where a run speaks to its user, and how the user stops it.</summary>
/// <param name="Out">Results and progress.</param>
/// <param name="Error">Warnings and the sentence that explains a failure.</param>
/// <param name="Interactive">Whether <paramref name="Out"/> is a terminal, on which a line can be redrawn.</param>
/// <param name="Stop">Cancelled by Ctrl-C; looked at between steps.</param>
internal sealed record RunConsole(TextWriter Out, TextWriter Error, bool Interactive, CancellationToken Stop)
{
    /// <summary>Characters in a line of <see cref="Out"/>.</summary>
    public int Width => Interactive ? Console.WindowWidth : 160;

    /// <summary>Called with the number of epochs done after each checkpoint, so that tests can stop a run there.</summary>
    public Action<int>? CheckpointWritten { get; init; }

    /// <summary>Prints a table by Spectre.Console, in plain text where <see cref="Out"/> is not a terminal.</summary>
    public void WriteTable(SummaryTable rows)
    {
        var table = new Table { Border = Interactive ? TableBorder.Rounded : TableBorder.Ascii };
        foreach (string column in rows.Columns) {
            table.AddColumn(new TableColumn(Markup.Escape(column)) { NoWrap = true });
        }
        foreach (string[] row in rows.Rows) {
            table.AddRow(row.Select(Markup.Escape).ToArray());
        }
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings {
            Ansi = Interactive ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = Interactive ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(Out),
        });
        if (!Interactive) {
            console.Profile.Width = Width;
        }
        console.Write(table);
    }
}
