using System.Text.Json;
using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Fuzz;

/// <summary>The process that reads damaged files: a case for each line of its input, an outcome for each line of its output.</summary>
internal static class FuzzServer
{
    /// <summary>The line that says that it is ready.</summary>
    public const string Ready = "ready";

    /// <summary>Answers until the input ends.</summary>
    public static int Run(IReadOnlyList<FuzzReader> readers, TextReader input, TextWriter output)
    {
        torch.set_num_threads(1);
        using var folder = new DisposableFolder();
        IReadOnlyList<byte[]> others = Others(readers, folder);
        output.WriteLine(Ready);
        output.Flush();
        while (input.ReadLine() is string line) {
            FuzzRequest request = JsonSerializer.Deserialize<FuzzRequest>(line)!;
            FuzzReader reader = FuzzCase.ReaderOf(readers, request.Case);
            FuzzCase.Write(reader, others, request.Seed, request.Case, folder.Emptied());
            output.WriteLine(JsonSerializer.Serialize(FuzzCase.Run(reader, folder.Path)));
            output.Flush();
        }
        return ExitCode.Success;
    }

    /// <summary>Writes the files of one case into a folder, to be looked at.</summary>
    public static void Keep(IReadOnlyList<FuzzReader> readers, long seed, long number, string path)
    {
        using var folder = new DisposableFolder();
        FuzzCase.Write(FuzzCase.ReaderOf(readers, number), Others(readers, folder), seed, number, path);
    }

    // A valid file of each reader.
    private static List<byte[]> Others(IReadOnlyList<FuzzReader> readers, DisposableFolder folder)
    {
        var others = new List<byte[]>();
        foreach (FuzzReader reader in readers) {
            string path = folder.Emptied();
            reader.Write(path, 0);
            others.Add(File.ReadAllBytes(Directory.GetFiles(path, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).First()));
        }
        return others;
    }

    private sealed class DisposableFolder : IDisposable
    {
        private readonly string _root = Directory.CreateTempSubdirectory("lsmrtorch-fuzz-").FullName;

        public string Path => System.IO.Path.Combine(_root, "case");

        public string Emptied()
        {
            if (Directory.Exists(Path)) {
                Directory.Delete(Path, recursive: true);
            }
            Directory.CreateDirectory(Path);
            return Path;
        }

        public void Dispose() => Directory.Delete(_root, recursive: true);
    }
}
