using System.Runtime.InteropServices;
using LsmrTorch.Datasets;

namespace LsmrTorch.Experiments.Running;

/// <summary>Makes one sentence and an exit code of whatever was thrown, so that no exception reaches the user.</summary>
internal static class LastResort
{
    /// <summary>The variable that asks for the trace.</summary>
    private const string Debug = "LSMRTORCH_DEBUG";

    /// <summary>Runs, and tells on <paramref name="error"/> why it failed if it did.</summary>
    public static int Run(TextWriter error, Func<int> run)
    {
        try {
            return run();
        } catch (Exception thrown) {
            return Tell(error, thrown);
        }
    }

    /// <summary>Writes the sentence, and the trace where LSMRTORCH_DEBUG is 1; returns the exit code.</summary>
    public static int Tell(TextWriter error, Exception thrown)
    {
        Exception cause = Cause(thrown);
        if (cause is OperationCanceledException) {
            error.WriteLine("Stopped; the same command with --resume goes on from the last checkpoint, if there is one.");
        } else {
            error.WriteLine(Quoted.Escaped(Sentence(cause)));
        }
        if (Environment.GetEnvironmentVariable(Debug) == "1") {
            error.WriteLine(thrown);
        }
        return cause is OperationCanceledException ? ExitCode.Stopped : ExitCode.Failure;
    }

    // What was thrown inside a task or a static constructor.
    private static Exception Cause(Exception thrown)
    {
        while (thrown is AggregateException or TypeInitializationException or System.Reflection.TargetInvocationException
            && thrown.InnerException is Exception inner) {
            thrown = inner;
        }
        return thrown;
    }

    private static string Sentence(Exception cause) => cause switch {
        ExperimentException or DatasetException => cause.Message,
        OutOfMemoryException or InsufficientMemoryException => "The memory does not suffice for this run.",
        ExternalException when cause.Message.Contains("memory", StringComparison.OrdinalIgnoreCase) =>
            $"The memory does not suffice: {FirstLine(cause)}",
        IOException or UnauthorizedAccessException => $"A file could not be read or written: {FirstLine(cause)}",
        LsmrException => $"The solver failed: {FirstLine(cause)}",
        _ => $"An error that was not foreseen ended the run ({cause.GetType().Name}: {FirstLine(cause)}); "
            + $"{Debug}=1 shows where it was.",
    };

    private static string FirstLine(Exception cause)
    {
        string line = cause.Message.AsSpan().Trim().ToString().Split('\n')[0].TrimEnd();
        return line.Length <= 400 ? line : line[..400] + "…";
    }
}
