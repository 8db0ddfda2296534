using System.CommandLine;
using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Fuzz;

/// <summary>What do the readers do with damaged files?</summary>
internal sealed class FuzzExperiment() : Experiment("fuzz", "Damaged files before every reader: each is read, or refused as documented.")
{
    /// <summary>The hidden option that makes the executable the process that reads.</summary>
    public const string ServerOption = "--serve";

    /// <summary>The hidden option that puts readers with planted mistakes in place of the others.</summary>
    public const string PlantedOption = "--planted";

    private const long MostCases = 100_000_000;

    /// <inheritdoc/>
    public override Command CreateCommand(RunConsole console)
    {
        Option<long?> cases = Options.WholeNumber("--cases", "Damaged inputs, in turn for each reader (1000).", 1, MostCases);
        Option<long?> seed = Options.WholeNumber("--seed", "Decides, with the number of a case, what its damage is (0).");
        Option<long?> single = Options.WholeNumber("--case", "This one alone, whose files are kept in the results.", 0, MostCases);
        Option<string?> folder = Options.Text("--out", "The folder of the results (results/fuzz).", "DIR");
        var overwrite = new Option<bool>("--overwrite") { Description = "Replace what another experiment left in --out." };
        var server = new Option<bool>(ServerOption) { Hidden = true };
        var planted = new Option<bool>(PlantedOption) { Hidden = true };
        var command = new Command(Name, Description) { cases, seed, single, folder, overwrite, server, planted };
        command.SetAction(parsed => {
            bool isPlanted = parsed.GetValue(planted);
            IReadOnlyList<FuzzReader> readers = isPlanted ? PlantedReaders.All : FuzzReaders.All;
            return parsed.GetValue(server)
                ? FuzzServer.Run(readers, Console.In, console.Out)
                : Run(readers, isPlanted, parsed.GetValue(seed) ?? 0, parsed.GetValue(cases) ?? 1000, parsed.GetValue(single),
                    parsed.GetValue(folder) ?? Path.Combine("results", Name), parsed.GetValue(overwrite), console);
        });
        return command;
    }

    private int Run(IReadOnlyList<FuzzReader> readers, bool isPlanted, long seed, long cases, long? single, string path, bool overwrite, RunConsole console)
    {
        using var folder = new RunFolder(Options.FullPath(path), new JsonObject {
            ["experiment"] = Name,
            ["seed"] = seed,
            ["cases"] = cases,
            ["case"] = single,
        }) { ReplacesItsOwn = true };
        folder.Start(torch.CPU, overwrite);
        var report = new FuzzReport(readers, seed);
        var progress = new ProgressLine(console, single is null ? cases : 1);
        string[] arguments = isPlanted ? [Name, ServerOption, PlantedOption] : [Name, ServerOption];
        using (var process = new FuzzProcess(arguments, folder.TemporaryPath)) {
            for (long i = single ?? 0, end = single + 1 ?? cases; i < end; i++) {
                console.Stop.ThrowIfCancellationRequested();
                FuzzReader reader = FuzzCase.ReaderOf(readers, i);
                FuzzOutcome outcome = process.Ask(new FuzzRequest(seed, i));
                report.Add(reader, i, outcome);
                if (outcome.Failure is not null) {
                    folder.WriteMetric("failure", report.Failures[^1]);
                    progress.Say(FuzzReport.Note(report.Failures[^1]));
                }
                progress.Report(i - (single ?? 0) + 1, $"case {i + 1}/{end}, {reader.Name}, {report.Failures.Count} failed");
            }
        }
        progress.Clear();
        if (single is long number) {
            FuzzServer.Keep(readers, seed, number, Path.Combine(folder.Root, $"case-{number}"));
        }
        Summary summary = report.Summary();
        folder.WriteSummary(summary, torch.CPU);
        console.WriteTable(summary.Table);
        console.Out.WriteLine($"Figures: {Path.Combine(path, "summary.json")}.");
        if (summary.Failure is string failure) {
            console.Error.WriteLine(failure);
            return ExitCode.Failure;
        }
        return ExitCode.Success;
    }
}
