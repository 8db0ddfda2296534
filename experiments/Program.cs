using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Benchmark;
using LsmrTorch.Experiments.Conditioning;
using LsmrTorch.Experiments.Conservativeness;
using LsmrTorch.Experiments.Equivariance;
using LsmrTorch.Experiments.FineTune;
using LsmrTorch.Experiments.Fuzz;
using LsmrTorch.Experiments.GpCalibration;
using LsmrTorch.Experiments.GradientCheck;
using LsmrTorch.Experiments.GradientCost;
using LsmrTorch.Experiments.Inertia;
using LsmrTorch.Experiments.NullSpaceOrder;
using LsmrTorch.Experiments.Periodic;
using LsmrTorch.Experiments.Preserve;
using LsmrTorch.Experiments.Running;
using LsmrTorch.Experiments.Scale;
using LsmrTorch.Experiments.Solve;
using LsmrTorch.Experiments.Sparsity;

namespace LsmrTorch.Experiments;

/// <summary>The runner: one command per experiment; every expected failure is one sentence and an exit code.</summary>
internal static class Program
{
    /// <summary>Everything that can be run; a new experiment is one class and one line here.</summary>
    private static Experiment[] Experiments => [
        new SolveExperiment(),
        new SparsityExperiment(),
        new SweepExperiment(),
        new PeriodicExperiment(),
        new GradientCheckExperiment(),
        new ConditioningExperiment(),
        new ConservativenessExperiment(),
        new ConservativeImagesExperiment(),
        new OrderExperiment(),
        new BenchmarkExperiment(),
        new EquivarianceExperiment(),
        new PreserveExperiment(),
        new GradientCostExperiment(),
        new ScaleExperiment(),
        new FineTuneExperiment(),
        new GpCalibrationExperiment(),
        new InertiaExperiment(),
        new FuzzExperiment(),
    ];

    private const int LongestMessage = 300; // of the parser, which repeats what was typed

    private static int Main(string[] args)
    {
        AppDomain.CurrentDomain.UnhandledException += (_, thrown) => { // on a thread that is not this one
            if (thrown.ExceptionObject is Exception error) {
                Environment.Exit(LastResort.Tell(Console.Error, error));
            }
        };
        return LastResort.Run(Console.Error, () => {
            NativeEnvironment.Prepare();
            CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
            CultureInfo.DefaultThreadCurrentUICulture = CultureInfo.InvariantCulture;
            using var stop = new CancellationTokenSource();
            Console.CancelKeyPress += (_, pressed) => {
                pressed.Cancel = !stop.IsCancellationRequested; // the second Ctrl-C ends the process at once
                stop.Cancel();
            };
            return Run(args, new RunConsole(Console.Out, Console.Error, !Console.IsOutputRedirected, stop.Token));
        });
    }

    /// <summary>Runs a command line as if typed, with plain output.</summary>
    internal static int Run(string[] args, TextWriter output, TextWriter error) =>
        Run(args, new RunConsole(output, error, Interactive: false, CancellationToken.None));

    private static int Run(string[] args, RunConsole console)
    {
        using var numbers = new InvariantNumbers();
        Action<string> warn = sentence => console.Error.WriteLine($"Warning: {Quoted.Escaped(sentence)}");
        Diagnostics.Warning += warn;
        try {
            return LastResort.Run(console.Error, () => Invoke(args, console));
        } finally {
            Diagnostics.Warning -= warn;
        }
    }

    private static int Invoke(string[] args, RunConsole console)
    {
        var root = new RootCommand("Experiments of LsmrTorch: least squares that a network is trained through, and under.");
        foreach (Experiment experiment in Experiments) {
            root.Subcommands.Add(experiment.CreateCommand(console));
        }
        ParseResult parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null }); // a name may begin with @
        if (parsed.Errors.Count > 0) {
            console.Error.WriteLine(Sentence(parsed.Errors[0], parsed, args));
            return ExitCode.Misuse;
        }
        return parsed.Invoke(new InvocationConfiguration {
            Output = console.Out,
            Error = console.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        });
    }

    private static string Sentence(ParseError error, ParseResult parsed, string[] args)
    {
        string names = string.Join(", ", Experiments.Select(experiment => experiment.Name));
        if (parsed.CommandResult.Command is RootCommand) {
            return args.Length == 0
                ? $"Name an experiment: {names}; --help says more."
                : $"There is no experiment {Quoted.Text(args[0])}, only {names}.";
        }
        string message = Quoted.Escaped(error.Message.ReplaceLineEndings(" "));
        return message.Length <= LongestMessage ? message : message[..LongestMessage] + "…";
    }
}
