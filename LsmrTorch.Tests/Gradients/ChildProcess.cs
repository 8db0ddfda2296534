using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace LsmrTorch.Tests.Gradients;

/// <summary>
/// A fresh process of this assembly that runs one action and ends, for what can be seen only once in a process, or only
/// on its standard error.
/// </summary>
internal static class ChildProcess
{
    private const string Variable = "LSMRTORCH_TESTS_ACTION";

    private static readonly Dictionary<string, Action> actions = new() {
        [nameof(FailureReportTests.DifferentiateTwice)] = FailureReportTests.DifferentiateTwice,
        [nameof(FailureReportTests.FailTwice)] = FailureReportTests.FailTwice,
    };

    /// <summary>Runs before the test platform's own empty entry point.</summary>
    [ModuleInitializer]
    internal static void Begin()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { } name)
            return;
        actions[name]();
        Environment.Exit(0);
    }

    /// <summary>Standard output and error, lines ended by \n; fails unless the process ends well.</summary>
    public static (string Output, string Error) Run(string name)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(ChildProcess).Assembly.Location]);
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.Environment[Variable] = name;
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? (output.ReplaceLineEndings("\n"), error.Result.ReplaceLineEndings("\n"))
            : throw new InvalidOperationException($"The process ended with {process.ExitCode}: {error.Result}");
    }
}
