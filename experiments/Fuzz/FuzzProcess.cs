using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace LsmrTorch.Experiments.Fuzz;

/// <summary>
/// A process of this same executable that reads damaged files, so that one which kills its reader, or keeps it for ever,
/// is a failure among others. It is started again after each such case.
/// </summary>
internal sealed class FuzzProcess(IReadOnlyList<string> arguments, string temporary) : IDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_start = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2); // for one that sleeps on a busy machine

    private Process? _process;

    /// <summary>What became of a case.</summary>
    public FuzzOutcome Ask(FuzzRequest request)
    {
        Process process = _process ??= Start();
        long resident = process.WorkingSet64;
        TimeSpan before = process.TotalProcessorTime;
        try {
            process.StandardInput.WriteLine(JsonSerializer.Serialize(request));
            process.StandardInput.Flush();
        } catch (IOException) {
            return Ended();
        }
        var watch = Stopwatch.StartNew();
        Task<string?> answer = process.StandardOutput.ReadLineAsync();
        while (!answer.Wait(s_look)) {
            process.Refresh();
            if (process.HasExited) {
                return Ended();
            }
            double seconds = (process.TotalProcessorTime - before).TotalSeconds;
            long bytes = process.WorkingSet64 - resident;
            // A little more than the case may take: what is just over the bound, it tells itself.
            if (seconds > 1.2 * FuzzCase.MostSeconds || watch.Elapsed > s_patience || bytes > 1.5 * FuzzCase.MostBytes) {
                Kill();
                return new FuzzOutcome(false, bytes > 1.5 * FuzzCase.MostBytes
                    ? $"took over {bytes / 1e6:F0} MB and was killed" : $"did not end within {seconds:F0} seconds and was killed", bytes, seconds);
            }
        }
        return answer.Result is string line ? JsonSerializer.Deserialize<FuzzOutcome>(line)! : Ended();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_process is not null) {
            try {
                _process.StandardInput.Close();
                _process.WaitForExit(TimeSpan.FromSeconds(10));
            } catch (Exception error) when (error is IOException or InvalidOperationException) {
                // it has ended already
            }
            Kill();
        }
    }

    private Process Start()
    {
        string assembly = typeof(FuzzProcess).Assembly.Location, native = Path.ChangeExtension(assembly, null);
        ProcessStartInfo start = File.Exists(native)
            ? new ProcessStartInfo(native, arguments)
            : new ProcessStartInfo("dotnet", [assembly, .. arguments]);
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.Environment["DOTNET_GCgen0size"] = "0x4000000";        // small, so that garbage is not what grows
        start.Environment["DOTNET_GCHeapHardLimit"] = "0x80000000";
        start.Environment["OMP_NUM_THREADS"] = "1";
        Directory.CreateDirectory(temporary);
        start.Environment["TMPDIR"] = temporary;
        Process process = Process.Start(start)!;
        process.ErrorDataReceived += (_, _) => { };                  // what native libraries say of a damaged file
        process.BeginErrorReadLine();
        Task<string?> ready = process.StandardOutput.ReadLineAsync();
        if (!ready.Wait(s_start) || ready.Result != FuzzServer.Ready) {
            process.Kill(entireProcessTree: true);
            throw new Running.ExperimentException("The process that reads damaged files did not start.");
        }
        return process;
    }

    private FuzzOutcome Ended()
    {
        Process process = _process!;
        process.WaitForExit(TimeSpan.FromSeconds(5));
        string code = process.HasExited ? process.ExitCode.ToString(CultureInfo.InvariantCulture) : "none";
        Kill();
        return new FuzzOutcome(false, $"ended the process, exit code {code}", 0, 0);
    }

    private void Kill()
    {
        Process process = _process!;
        if (!process.HasExited) {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
        process.Dispose();
        _process = null;
    }
}
