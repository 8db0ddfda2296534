using System.Diagnostics;
using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Fuzz;

/// <summary>One damaged input: what it is follows from the seed and its number alone.</summary>
internal static class FuzzCase
{
    /// <summary>What a case may allocate.</summary>
    public const long MostBytes = 1_000_000_000;

    /// <summary>What a case may take of the processor.</summary>
    public const double MostSeconds = 10;

    /// <summary>The reader of a case.</summary>
    public static FuzzReader ReaderOf(IReadOnlyList<FuzzReader> readers, long number) => readers[(int)(number % readers.Count)];

    /// <summary>Writes the damaged files of a case into an empty folder.</summary>
    public static void Write(FuzzReader reader, IReadOnlyList<byte[]> others, long seed, long number, string folder)
    {
        Random random = Seeds.Managed(seed, $"fuzz {reader.Name}", number);
        Directory.CreateDirectory(folder);
        reader.Write(folder, random.Next(reader.Inputs));
        string[] files = [.. Directory.GetFiles(folder, "*", SearchOption.AllDirectories)
            .Where(file => reader.IsDamaged(Path.GetFileName(file))).Order(StringComparer.Ordinal)];
        string first = files[random.Next(files.Length)];
        if (random.Next(50) == 0) {
            File.Delete(first);
            return;
        }
        Damage(first);
        if (random.Next(5) == 0) {
            Damage(files[random.Next(files.Length)]);
        }

        void Damage(string file)
        {
            byte[] damaged = Mutation.Of(File.ReadAllBytes(file), others, random);
            File.WriteAllBytes(file, reader.Sign is null ? damaged : reader.Sign(file, damaged));
        }
    }

    /// <summary>Lets the reader read, and judges what it did.</summary>
    public static FuzzOutcome Run(FuzzReader reader, string folder)
    {
        string? failure = null;
        bool isAccepted = false;
        long tensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var memory = new MemoryWatch();
        TimeSpan before = Environment.CpuUsage.TotalTime;
        try {
            reader.Read(folder);
            isAccepted = true;
        } catch (Exception thrown) when (reader.IsRefusal(thrown)) {
            if (thrown.Message.Any(letter => char.IsControl(letter)) || thrown.Message.Length > 2000) {
                failure = "its message is longer than 2000 characters or steers a terminal";
            }
        } catch (Exception thrown) {
            failure = $"threw {thrown.GetType().Name}: {thrown.Message}";
        }
        double seconds = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        long bytes = memory.Taken();
        long left = DisposeScopeManager.Statistics.ThreadTotalLiveCount - tensors;
        failure ??= bytes > MostBytes ? $"took {bytes / 1e6:F0} MB"
            : seconds > MostSeconds ? $"took {seconds:F1} seconds"
            : left != 0 ? $"left {left} tensors" : null;
        return new FuzzOutcome(isAccepted, failure, bytes, seconds);
    }

    /// <summary>Managed allocations of this thread, or what the process grew to, whichever is more.</summary>
    private sealed class MemoryWatch
    {
        private readonly long _managed = GC.GetAllocatedBytesForCurrentThread();
        private readonly long _resident = ProcessMemory.CanMeasure ? ProcessMemory.ResetPeak() : 0;

        public long Taken() => Math.Max(GC.GetAllocatedBytesForCurrentThread() - _managed,
            ProcessMemory.CanMeasure ? ProcessMemory.Peak() - _resident : 0);
    }
}
