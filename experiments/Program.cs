using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Runtime.InteropServices;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Benchmark;
using LsmrTorch.Experiments.Conditioning;
using LsmrTorch.Experiments.Conservativeness;
using LsmrTorch.Experiments.Equivariance;
using LsmrTorch.Experiments.FineTune;
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
    ];

    private static int Main(string[] args)
    {
        NativeEnvironment.Prepare();
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
        CultureInfo.DefaultThreadCurrentUICulture = CultureInfo.InvariantCulture;
        using var stop = new CancellationTokenSource();
        Console.CancelKeyPress += (_, pressed) => {
            pressed.Cancel = !stop.IsCancellationRequested; // the second Ctrl-C ends the process at once
            stop.Cancel();
        };
        return Run(args, new RunConsole(Console.Out, Console.Error, !Console.IsOutputRedirected, stop.Token));
    }

    /// <summary>Runs a command line as if typed, with plain output.</summary>
    internal static int Run(string[] args, TextWriter output, TextWriter error) =>
        Run(args, new RunConsole(output, error, Interactive: false, CancellationToken.None));

    private static int Run(string[] args, RunConsole console)
    {
        using var numbers = new InvariantNumbers();
        Action<string> warn = sentence => console.Error.WriteLine($"Warning: {sentence}");
        Diagnostics.Warning += warn;
        try {
            return Invoke(args, console);
        } catch (OperationCanceledException) {
            return Fail("Stopped; the same command with --resume goes on from the last checkpoint, if there is one.", ExitCode.Stopped);
        } catch (Exception error) when (error is ExperimentException or DatasetException) {
            return Fail(error.Message, ExitCode.Failure);
        } catch (Exception error) when (error is IOException or UnauthorizedAccessException) {
            return Fail($"A file could not be read or written: {error.Message}", ExitCode.Failure);
        } catch (ExternalException error) when (error.Message.Contains("memory", StringComparison.OrdinalIgnoreCase)) {
            return Fail($"The memory does not suffice: {error.Message.Split('\n')[0]}", ExitCode.Failure);
        } finally {
            Diagnostics.Warning -= warn;
        }

        int Fail(string sentence, int code)
        {
            console.Error.WriteLine(sentence);
            return code;
        }
    }

    private static int Invoke(string[] args, RunConsole console)
    {
        var root = new RootCommand("Experiments of LsmrTorch: least squares that a network is trained through, and under.");
        foreach (Experiment experiment in Experiments) {
            root.Subcommands.Add(experiment.CreateCommand(console));
        }
        ParseResult parsed = root.Parse(args);
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
                : $"There is no experiment '{args[0]}', only {names}.";
        }
        return error.Message.ReplaceLineEndings(" ");
    }
}
