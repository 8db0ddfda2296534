using System.CommandLine;
using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>Are the gradients right, in every cell?</summary>
internal sealed class GradientCheckExperiment() : TrainingExperiment<GradientCheckSizes>(
    "gradient-check", "Compare gradients of every kind of problem with dense float64 algebra and central differences.")
{
    /// <inheritdoc/>
    public override Command CreateCommand(RunConsole console)
    {
        var common = new CommonOptions();
        Option<string?> cases = Options.Text("--cases", "A JSON file of small problems with references, to be compared with too.", "FILE");
        var command = new Command(Name, Description);
        common.AddTo(command);
        command.Options.Add(cases);
        command.SetAction(parsed => {
            RunSettings settings = common.Read(parsed, Name);
            string? file = parsed.GetValue(cases);
            return Execute(SizesOf(settings) with { Cases = file is null ? null : Options.FullPath(file) }, settings, console);
        });
        return command;
    }

    /// <inheritdoc/>
    protected override GradientCheckSizes SizesOf(RunSettings settings) => GradientCheckSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(GradientCheckSizes sizes, RunContext context)
    {
        IReadOnlyList<ReferenceCase> references = sizes.Cases is string file ? CasesFile.Read(file) : [];
        if (context.Settings.Threads is null) {
            torch.set_num_threads(1); // matrices of a few kilobytes
        }
        _ = context.Begin();
        CaseResult[] cases = RunCases(references, context);
        List<CellResult> cells = RunCells(sizes, context);
        return GradientCheckReport.Of(sizes, cells, cases, context.Folder);
    }

    private static CaseResult[] RunCases(IReadOnlyList<ReferenceCase> references, RunContext context)
    {
        var results = new List<CaseResult>();
        foreach (ReferenceCase reference in references) {
            context.Console.Stop.ThrowIfCancellationRequested();
            CaseResult result = CaseCheck.Run(results.Count, reference, context.Device);
            results.Add(result);
            context.Folder.WriteMetric("case", GradientCheckMetrics.Of(result));
        }
        if (results.Count > 0) {
            context.Console.WriteTable(GradientCheckReport.CaseTable(results));
        }
        return [.. results];
    }

    private static List<CellResult> RunCells(GradientCheckSizes sizes, RunContext context)
    {
        Cell[] cells = [.. Cell.All(sizes)];
        var progress = new ProgressLine(context.Console, cells.Length);
        var results = new List<CellResult>();
        foreach (Cell cell in cells) {
            context.Console.Stop.ThrowIfCancellationRequested();
            CellResult result = CellCheck.Run(cell, context.Settings.Seed, context.Device);
            results.Add(result);
            context.Folder.WriteMetric("cell", GradientCheckMetrics.Of(result));
            progress.Report(results.Count, $"cell {results.Count}/{cells.Length}, {results.Count(at => at.Failure is not null)} failed");
        }
        progress.Clear();
        return results;
    }
}
