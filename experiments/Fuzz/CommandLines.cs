namespace LsmrTorch.Experiments.Fuzz;

/// <summary>Command lines that fail for what they name, whatever else they say: a word a line, each of which may be damaged.</summary>
internal static class CommandLines
{
    /// <summary>The values of the options; the options themselves are put before them.</summary>
    public static IReadOnlyList<string> All { get; } = ["1e-3\n1e-6\n1e-6\n1e8\n100\n", "3\n1\nsmoke\ncpu\n"];

    private static readonly string[] s_solve = ["--damp", "--atol", "--btol", "--condition-limit", "--max-iterations"];
    private static readonly string[] s_train = ["--seed", "--threads", "--preset", "--device"];

    /// <summary>Runs the line in a folder: one sentence, and the exit code of a mistake or of a failure.</summary>
    public static void Run(string folder)
    {
        string path = Path.Combine(folder, "words.txt");
        string[] words = File.Exists(path) ? File.ReadAllText(path).Split('\n') : [];
        bool isSolve = words.Length != 5;
        string[] options = isSolve ? s_solve : s_train;
        string nowhere = Path.Combine(folder, "nowhere");
        string[] fixedWords = isSolve ? ["solve", "--matrix", nowhere] : ["sparsity", "--data", nowhere];
        string[] line = [.. fixedWords, "--out", Path.Combine(folder, "out"), .. options.Zip(words).SelectMany(pair => new[] { pair.First, pair.Second })];
        var error = new StringWriter();
        int threads = TorchSharp.torch.get_num_threads();
        int code = Program.Run(line, TextWriter.Null, error);
        TorchSharp.torch.set_num_threads(threads);
        string told = error.ToString().TrimEnd('\n');
        if (code is not (1 or 2) || told.Length is 0 or > 1000 || told.Any(char.IsControl) || told.Contains("not foreseen", StringComparison.Ordinal)) {
            throw new InvalidOperationException($"exit code {code}: {told}");
        }
    }
}
