using System.Runtime.InteropServices;
using LsmrTorch.Datasets;

namespace LsmrTorch.Experiments.Fuzz;

/// <summary>Readers with the mistakes that the command is to find, so that tests see it find them.</summary>
internal static class PlantedReaders
{
    /// <summary>One for each mistake, and two without.</summary>
    public static IReadOnlyList<FuzzReader> All { get; } = [
        Of("accepts", () => { }),
        Of("refuses", () => throw new DatasetException("The file is damaged.")),
        Of("null-reference", () => _ = ((string?)null)!.Length),
        Of("undeclared", () => throw new FormatException("no number")),
        Of("terminal", () => throw new FileLoadException("\u001b[31mred"), error => error is FileLoadException),
        Of("memory", () => GC.KeepAlive(new byte[1_200_000_000])),
        Of("many-small", () => {
            for (int i = 0; i < 110_000; i++) {
                GC.KeepAlive(new byte[10_000]);
            }
        }),
        Of("native-memory", () => {
            unsafe {
                byte* block = (byte*)NativeMemory.Alloc(1_100_000_000);
                for (long i = 0; i < 1_100_000_000; i += 4096) {
                    block[i] = 1;
                }
                NativeMemory.Free(block);
            }
        }),
        Of("leak", () => _ = TorchSharp.torch.zeros(3)),
        Of("crash", () => Environment.FailFast("planted")),
        Of("loop", () => {
            while (Environment.ProcessId > 0) {
            }
        }),
    ];

    private static FuzzReader Of(string name, Action read, Func<Exception, bool>? isRefusal = null) => new(name,
        (folder, _) => File.WriteAllText(Path.Combine(folder, "file.txt"), "valid"),
        _ => read(), isRefusal ?? (error => error is DatasetException));
}
