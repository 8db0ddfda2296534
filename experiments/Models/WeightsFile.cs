using System.Text;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Models;

/// <summary>
/// Weights in the format of TorchSharp's <c>module.save</c> and of its script <c>exportsd.py</c>, which writes those of
/// PyTorch: the number of entries; for each the key, the element type, the shape and the bytes; numbers in LEB128.
/// </summary>
internal static class WeightsFile
{
    private const int HighestRank = 16;
    private const int LongestKey = 4096;

    private const int MostEntries = 1_000_000;

    private sealed record Entry(string Key, ScalarType Type, long[] Shape, long Position)
    {
        public long Bytes { get; } = ElementTypes.Bytes(Type, Shape);
    }

    /// <summary>
    /// Copies the weights of a file into <paramref name="model"/>, on its device and in its types. Keys and shapes must
    /// be the model's, in any order; they are compared before the first weight changes.
    /// </summary>
    /// <exception cref="ExperimentException">
    /// The file cannot be read, is not of this format or cut short, an entry does not fit (the first is named), or a
    /// weight is not finite.
    /// </exception>
    public static void Load(nn.Module model, string path)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> state = model.state_dict();
        try {
            using FileStream stream = File.OpenRead(path);
            List<Entry> entries = Index(stream, path);
            Compare(entries, state, path);
            foreach (Entry entry in entries) {
                Check(entry, stream, path);
            }
            foreach (Entry entry in entries) {
                Fill(state[entry.Key], entry, stream);
            }
        } catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException) {
            throw new ExperimentException($"The weights {Quoted.Path(path)} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Where each entry lies, found without reading the weights.</summary>
    private static List<Entry> Index(FileStream stream, string path)
    {
        try {
            using var reader = new BinaryReader(stream, Encoding.UTF8, leaveOpen: true);
            var entries = new List<Entry>();
            long count = Bounded(reader.Read7BitEncodedInt64(), MostEntries);
            for (long i = 0; i < count; i++) {
                int length = (int)Bounded(reader.Read7BitEncodedInt64(), LongestKey);
                string key = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(reader.ReadBytes(length));
                var type = (ScalarType)Bounded(reader.Read7BitEncodedInt64(), (long)ScalarType.BFloat16);
                var shape = new long[Bounded(reader.Read7BitEncodedInt64(), HighestRank)];
                for (int k = 0; k < shape.Length; k++) {
                    shape[k] = Bounded(reader.Read7BitEncodedInt64(), int.MaxValue);
                }
                var entry = new Entry(key, type, shape, stream.Position);
                if (entry.Bytes > stream.Length - stream.Position) {
                    throw new ExperimentException($"The weights {Quoted.Path(path)} are cut short: {Quoted.Text(key)} has {entry.Bytes} bytes, but {stream.Length - stream.Position} are left.");
                }
                stream.Position += entry.Bytes;
                entries.Add(entry);
            }
            return stream.Position == stream.Length ? entries : throw new FormatException("bytes are left over");
        } catch (Exception error) when (error is FormatException or EndOfStreamException or ArgumentException or OverflowException) {
            throw new ExperimentException($"{Quoted.Path(path)} is no file of weights as module.save of TorchSharp or its exportsd.py writes it.", error);
        }
    }

    private static long Bounded(long value, long highest) =>
        value >= 0 && value <= highest ? value : throw new FormatException($"{value} is not from 0 to {highest}");

    private static void Compare(List<Entry> entries, Dictionary<string, Tensor> state, string path)
    {
        var seen = new HashSet<string>();
        foreach (Entry entry in entries) {
            if (!state.TryGetValue(entry.Key, out Tensor? target)) {
                throw new ExperimentException($"The weights {Quoted.Path(path)} do not fit: the model has no {Quoted.Text(entry.Key)}.");
            }
            if (!entry.Shape.AsSpan().SequenceEqual(target.shape)) {
                throw new ExperimentException(
                    $"The weights {Quoted.Path(path)} do not fit: {Quoted.Text(entry.Key)} has the shape ({string.Join(", ", entry.Shape)}), but ({string.Join(", ", target.shape)}) in the model.");
            }
            if (!seen.Add(entry.Key)) {
                throw new ExperimentException($"The weights {Quoted.Path(path)} do not fit: {Quoted.Text(entry.Key)} is in the file twice.");
            }
        }
        if (state.Keys.FirstOrDefault(key => !seen.Contains(key)) is string missing) {
            throw new ExperimentException($"The weights {Quoted.Path(path)} do not fit: the model's '{missing}' is not in the file.");
        }
    }

    // A weight that is no number would pass through every product.
    private static void Check(Entry entry, FileStream stream, string path)
    {
        using var scope = NewDisposeScope();
        Tensor host = Read(entry, stream);
        if (host.is_floating_point() && !host.isfinite().all().item<bool>()) {
            throw new ExperimentException(
                $"The weights {Quoted.Path(path)} hold a number that is not finite, in {Quoted.Text(entry.Key)}.");
        }
    }

    private static void Fill(Tensor target, Entry entry, FileStream stream)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        target.copy_(Read(entry, stream));
    }

    private static Tensor Read(Entry entry, FileStream stream)
    {
        Tensor host = empty(entry.Shape, entry.Type);
        stream.Position = entry.Position;
        stream.ReadExactly(host.bytes);
        return host;
    }
}
