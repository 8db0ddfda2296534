using System.CommandLine;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>What does an LSMR iteration cost, beside reading the matrix once and beside what else there is?</summary>
internal sealed class BenchmarkExperiment() : TrainingExperiment<BenchmarkSizes>(
    "benchmark", "Time an LSMR iteration beside one read of the matrix, bare products, a plain loop, lstsq and other packages.")
{
    /// <inheritdoc/>
    protected override bool PaperTakesDays => false;

    /// <inheritdoc/>
    public override Command CreateCommand(RunConsole console)
    {
        var common = new CommonOptions();
        Option<string?> python = Options.Text("--python",
            "The interpreter with SciPy, or on a GPU with CuPy, matfree, lineax (/usr/bin/python3, then python3).", "PATH");
        var command = new Command(Name, Description);
        common.AddTo(command);
        command.Options.Add(python);
        command.SetAction(parsed => {
            RunSettings settings = common.Read(parsed, Name);
            return Execute(SizesOf(settings) with { Python = parsed.GetValue(python) }, settings, console);
        });
        return command;
    }

    /// <inheritdoc/>
    protected override BenchmarkSizes SizesOf(RunSettings settings) => BenchmarkSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(BenchmarkSizes sizes, RunContext context)
    {
        string? well = CsrCases.WellFile(context.Settings.Data);
        _ = context.Begin();
        var others = new List<OtherSolver>();
        var missing = new List<string>();
        try {
            StartOthers(sizes, context, others, missing);
            IReadOnlyList<CaseResult> results = Measure(new Workbench(sizes, context.Settings.Seed, context.Device, others), well, context);
            missing.AddRange(others.Where(other => other.Failure is not null).Select(other => other.Failure!));
            return BenchmarkReport.Of(results, [.. others.Select(other => other.Version)], missing, context.Folder);
        } finally {
            others.ForEach(other => other.Dispose());
        }
    }

    private static void StartOthers(BenchmarkSizes sizes, RunContext context, List<OtherSolver> others, List<string> missing)
    {
        string[] interpreters = sizes.Python is string python ? [python] : ["/usr/bin/python3", "python3"];
        foreach (string name in context.Device.type == DeviceType.CUDA ? new[] { "cupy", "matfree", "lineax" } : ["scipy"]) {
            try {
                others.Add(OtherSolver.Start(name, interpreters, context.Folder.TemporaryPath));
            } catch (OtherSolverException error) {
                missing.Add(error.Message);
                context.Console.Out.WriteLine($"{error.Message} Its figures are left out.");
            }
        }
    }

    private static List<CaseResult> Measure(Workbench bench, string? well, RunContext context)
    {
        (string Name, double Weight, Func<IEnumerable<Case>> Cases)[] plan = [.. Plan(bench, well)];
        var results = new List<CaseResult>();
        var progress = new ProgressLine(context.Console, (long)plan.Sum(part => part.Weight));
        double done = 0;
        foreach ((string name, double weight, Func<IEnumerable<Case>> cases) in plan) {
            progress.Report((long)done, name);
            using var scope = NewDisposeScope();                // one part's matrices at a time
            using var guard = no_grad();
            double before = done;
            foreach (Case at in cases()) {
                int round = 0;
                results.Add(Rounds.Run(at, bench.Sizes, context.Folder, context.Console.Stop, () => {
                    round++;
                    progress.Report((long)(before + (weight * round / (at.Rounds + 1))), $"{at.Name}, round {round}/{at.Rounds}");
                }));
            }
            done = before + weight;
        }
        progress.Clear();
        return results;
    }

    // The weights are about milliseconds on two cores; only the time left depends on them.
    private static IEnumerable<(string Name, double Weight, Func<IEnumerable<Case>> Cases)> Plan(Workbench bench, string? well)
    {
        BenchmarkSizes sizes = bench.Sizes;
        yield return ("copy", 2000, () => DenseCases.Copy(bench));
        foreach (DenseSize size in sizes.Dense) {
            double bytes = (double)size.Rows * size.Columns * (size.IsFloat32 ? 4 : 8);
            yield return (size.Name, Weight(bytes, 3e-9, size.Limits) + (size.BesideLstsq ? bytes * 1e-4 : 0), () => DenseCases.Of(size, bench));
        }
        yield return ("well1033", 5000, () => CsrCases.Well(well, bench));
        foreach (CsrSize size in sizes.Csr) {
            yield return (size.Name, Weight(16.0 * size.Entries, 2e-8, size.Limits), () => CsrCases.Of(size, bench));
        }
        yield return ("conv", 5000, () => ClosureCases.Convolution(bench));
        yield return ("closure", 5000, () => ClosureCases.Overhead(bench));
        yield return ("jacobian", 5000, () => ClosureCases.Jacobian(bench));
        yield return ("rhs", 20 * Weight(8.0 * sizes.Shared.Rows * sizes.Shared.Columns, 3e-10, sizes.Shared.Limits), () => DenseCases.RightHandSides(sizes.Shared, bench));

        double Weight(double bytes, double secondsOfByte, Limits limits) =>
            1000 * (1 + (sizes.RoundsOf((long)bytes) * ((4 * sizes.TurnSeconds) + (bytes * secondsOfByte * (limits.Few + limits.Many) / 10))));
    }
}
