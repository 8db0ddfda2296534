using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>
/// LSMR of a Python package, in a process of its own that scripts/benchmark/lsmr_child.py is run by. It is started once, is told a
/// problem by files and a number of iterations by a line, and measures its own seconds, so that its turns come between the others'.
/// </summary>
internal sealed class OtherSolver : IDisposable
{
    private const string Script = "lsmr_child.py";
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);      // importing packages, compiling kernels, the longest solve

    private readonly Process _process;
    private readonly DirectoryInfo _folder;

    private OtherSolver(string name, Process process, DirectoryInfo folder) => (Name, _process, _folder) = (name, process, folder);

    /// <summary>Longer than its threads wait spinning after a product, which would fall on the next method.</summary>
    public static TimeSpan Spinning { get; } = TimeSpan.FromMilliseconds(50);

    /// <summary>scipy, cupy, matfree or lineax.</summary>
    public string Name { get; }

    /// <summary>Name and version of what it runs.</summary>
    public string Version { get; private set; } = "";

    /// <summary>Why it can no longer be used; null while it can.</summary>
    public string? Failure { get; private set; }

    /// <summary>Whether it takes CSR matrices.</summary>
    public bool TakesCsr => Name is "scipy" or "cupy";

    /// <summary>
    /// Starts it by the first of the interpreters that has its package. Its files are in a folder of its own below
    /// <paramref name="temporary"/>, or the system's where that is null.
    /// </summary>
    /// <exception cref="OtherSolverException">None has; the message has each one's reason.</exception>
    public static OtherSolver Start(string name, IReadOnlyList<string> interpreters, string? temporary = null)
    {
        var reasons = new List<string>();
        foreach (string interpreter in interpreters) {
            try {
                return Start(name, interpreter, temporary);
            } catch (OtherSolverException error) {
                reasons.Add(error.Message);
            }
        }
        throw new OtherSolverException(string.Join(" ", reasons.Distinct()));
    }

    /// <summary>Hands it a dense problem.</summary>
    public void Load(torch.Tensor matrix, torch.Tensor b)
    {
        Write("values", matrix);
        Write("rhs", b);
        Load("dense", matrix.shape[0], matrix.shape[1], matrix.dtype);
    }

    /// <summary>Hands it a problem with a matrix in compressed rows.</summary>
    public void Load(CsrMatrix matrix, torch.Tensor b)
    {
        Write("values", matrix.Values);
        Write("indices", matrix.ColumnIndices);
        Write("starts", matrix.RowStarts);
        Write("rhs", b);
        Load("csr", matrix.Rows, matrix.Columns, matrix.Values.dtype);
    }

    /// <summary>At most so many iterations on the problem that was loaded.</summary>
    public TimedSolve Solve(int maxIterations)
    {
        string[] answer = Ask($"run {maxIterations}", "ran");
        if (answer.Length != 2
            || !int.TryParse(answer[0], NumberStyles.None, CultureInfo.InvariantCulture, out int iterations)
            || !double.TryParse(answer[1], NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds)
            || iterations < 1 || iterations > maxIterations || !(seconds > 0 && double.IsFinite(seconds))) {
            throw Fail($"answered {Quoted.Text($"ran {string.Join(' ', answer)}")} when asked for at most {maxIterations} iterations");
        }
        return new TimedSolve(iterations, seconds);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try {
            _process.StandardInput.WriteLine("quit");
            _process.StandardInput.Close();
            if (!_process.WaitForExit(TimeSpan.FromSeconds(2))) {
                _process.Kill(entireProcessTree: true);
            }
        } catch (Exception error) when (error is IOException or InvalidOperationException or Win32Exception) {
            // it has ended already
        }
        _process.Dispose();
        _folder.Delete(recursive: true);
    }

    private static OtherSolver Start(string name, string interpreter, string? temporary)
    {
        DirectoryInfo folder = temporary is null
            ? Directory.CreateTempSubdirectory("lsmrtorch-benchmark-")
            : Directory.CreateDirectory(Path.Combine(temporary, Guid.NewGuid().ToString("N")));
        OtherSolver? solver = null;
        try {
            string script = Path.Combine(folder.FullName, Script);
            using (Stream source = typeof(OtherSolver).Assembly.GetManifestResourceStream(Script)!)
            using (FileStream copy = File.Create(script)) {
                source.CopyTo(copy);
            }
            var start = new ProcessStartInfo(interpreter, [script, name]) {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            };
            string threads = torch.get_num_threads().ToString(CultureInfo.InvariantCulture);
            foreach (string variable in new[] { "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS" }) {
                start.Environment[variable] = threads;
            }
            solver = new OtherSolver(name, Process.Start(start)!, folder);
            solver.Version = string.Join(' ', solver.Answer("ready"));
            return solver;
        } catch (Win32Exception) {
            folder.Delete(recursive: true);
            throw new OtherSolverException($"There is no {Quoted.Path(interpreter)} to run {name} by.");
        } catch (OtherSolverException) {
            solver?.Dispose();
            throw;
        }
    }

    private void Load(string form, long rows, long columns, torch.ScalarType dtype)
    {
        _ = Ask($"{form} {rows} {columns} {(dtype == torch.ScalarType.Float64 ? "float64" : "float32")} {_folder.FullName}", "loaded");
        foreach (FileInfo file in _folder.EnumerateFiles("*.bin")) {
            file.Delete();
        }
    }

    private string[] Ask(string line, string expected)
    {
        if (Failure is not null) {
            throw new OtherSolverException(Failure);
        }
        try {
            _process.StandardInput.WriteLine(line);
            _process.StandardInput.Flush();
        } catch (IOException) {
            throw Fail("has ended");
        }
        return Answer(expected);
    }

    // No other thread works while this one waits for the line.
    private string[] Answer(string expected)
    {
        Task<string?> reading = _process.StandardOutput.ReadLineAsync();
        if (!reading.Wait(s_patience)) {
            _process.Kill(entireProcessTree: true);
            throw Fail($"did not answer within {s_patience.TotalSeconds} seconds");
        }
        if (reading.Result is not string line) {
            throw Fail("has ended");
        }
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words is ["error", .. string[] reason]) {
            throw Fail($"says: {Quoted.Escaped(string.Join(' ', reason))}");
        }
        if (words.Length == 0 || words[0] != expected) {
            throw Fail($"answered {Quoted.Text(line)} where '{expected}' was due");
        }
        return words[1..];
    }

    private OtherSolverException Fail(string what)
    {
        Failure ??= $"{Name}: {_process.StartInfo.FileName} {what}.";
        return new OtherSolverException(Failure);
    }

    // In blocks, as a span ends at 2 GiB.
    private void Write(string name, torch.Tensor tensor)
    {
        const long Block = 1 << 24;
        using var scope = torch.NewDisposeScope();
        using FileStream file = File.Create(Path.Combine(_folder.FullName, name + ".bin"));
        torch.Tensor flat = tensor.reshape(-1);
        for (long start = 0; start < flat.numel(); start += Block) {
            using torch.Tensor block = flat.narrow(0, start, Math.Min(Block, flat.numel() - start)).cpu();
            file.Write(block.bytes);
            GC.KeepAlive(block);
        }
    }
}
