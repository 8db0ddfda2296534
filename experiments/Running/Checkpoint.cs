using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Running;

/// <summary>
/// A state and named tensors in one file, which is whole or not there: a mark, the length of a JSON header, the header
/// (the state; names, types and shapes of the tensors), their bytes in that order, and the SHA-256 of all of it.
/// </summary>
internal static class Checkpoint
{
    private const int MostHeader = 1 << 28;
    private const int HighestRank = 16;
    private static readonly byte[] s_mark = "LsmrTorch ckpt 2"u8.ToArray();
    private static readonly byte[] s_olderMark = "LsmrTorch ckpt 1"u8.ToArray();

    private static readonly UTF8Encoding s_strict = new(false, throwOnInvalidBytes: true);

    private sealed record Entry(string Name, ScalarType Type, long[] Shape, long Bytes);

    /// <summary>Replaces the file at <paramref name="path"/> in one move.</summary>
    public static void Save(string path, JsonNode state, IReadOnlyDictionary<string, Tensor> tensors)
    {
        using var scope = NewDisposeScope();
        var entries = new JsonArray();
        var hosts = new List<Tensor>();
        foreach ((string name, Tensor tensor) in tensors) {
            Tensor host = tensor.detach().cpu().contiguous();
            hosts.Add(host);
            entries.Add(new JsonObject {
                ["name"] = name,
                ["dtype"] = host.dtype.ToString(),
                ["shape"] = new JsonArray([.. host.shape.Select(size => (JsonNode)JsonValue.Create(size))]),
            });
        }
        var header = new JsonObject { ["state"] = state.DeepClone(), ["tensors"] = entries };
        byte[] text = Encoding.UTF8.GetBytes(header.ToJsonString());
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, text.Length);

        AtomicFile.Write(path, stream => {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            Put(s_mark);
            Put(length);
            Put(text);
            foreach (Tensor host in hosts) {
                Put(host.bytes);
            }
            stream.Write(hash.GetHashAndReset());

            void Put(ReadOnlySpan<byte> bytes)
            {
                hash.AppendData(bytes);
                stream.Write(bytes);
            }
        });
    }

    /// <summary>
    /// Reads what <see cref="Save"/> wrote; the tensors are on the CPU and belong to the caller's scope. No tensor is made
    /// before checksum, header and lengths have been found right.
    /// </summary>
    /// <exception cref="ExperimentException">The file is damaged, of an older version, or cannot be read.</exception>
    public static (JsonNode State, Dictionary<string, Tensor> Tensors) Load(string path)
    {
        try {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
            long content = CheckedLength(file, path);
            (JsonNode state, List<Entry> entries) = Header(file, content, path);
            var tensors = new Dictionary<string, Tensor>();
            foreach (Entry entry in entries) {
                Tensor tensor = empty(entry.Shape, entry.Type);
                file.ReadExactly(tensor.bytes);
                tensors[entry.Name] = tensor;
            }
            return (state, tensors);
        } catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException) {
            throw new ExperimentException($"The checkpoint {Quoted.Path(path)} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The state of a checkpoint as the experiment keeps it.</summary>
    /// <exception cref="ExperimentException">It is none of this experiment.</exception>
    public static T StateOf<T>(JsonNode state)
    {
        try {
            return state.Deserialize<T>() ?? throw new JsonException();
        } catch (Exception error) when (error is JsonException or NotSupportedException or InvalidOperationException) {
            throw new ExperimentException(
                "The checkpoint holds a state that this version of the experiment does not know; --overwrite starts afresh.", error);
        }
    }

    // The length of what the checksum is of, where mark and checksum are right.
    private static long CheckedLength(FileStream file, string path)
    {
        long content = file.CanSeek ? file.Length - SHA256.HashSizeInBytes : 0;
        if (content < s_mark.Length + 8) {
            throw Damaged(path, "it is not a checkpoint of this program");
        }
        var block = new byte[1 << 20];
        file.ReadExactly(block, 0, s_mark.Length);
        if (block.AsSpan().StartsWith(s_olderMark)) {
            throw new ExperimentException($"The checkpoint {Quoted.Path(path)} is of an older version of this program, "
                + "which did not keep the run's options in it; --overwrite starts afresh.");
        }
        if (!block.AsSpan().StartsWith(s_mark)) {
            throw Damaged(path, "it is not a checkpoint of this program");
        }
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        file.Position = 0;
        for (long left = content; left > 0;) {
            int taken = (int)Math.Min(left, block.Length);
            file.ReadExactly(block, 0, taken);
            hash.AppendData(block, 0, taken);
            left -= taken;
        }
        file.ReadExactly(block, 0, SHA256.HashSizeInBytes);
        return block.AsSpan(0, SHA256.HashSizeInBytes).SequenceEqual(hash.GetHashAndReset())
            ? content : throw Damaged(path, "its checksum does not match");
    }

    private static (JsonNode State, List<Entry> Entries) Header(FileStream file, long content, string path)
    {
        try {
            var number = new byte[8];
            file.Position = s_mark.Length;
            file.ReadExactly(number);
            long length = BinaryPrimitives.ReadInt64LittleEndian(number), rest = content - file.Position;
            if (length < 0 || length > Math.Min(rest, MostHeader)) {
                throw new FormatException();
            }
            var bytesOfText = new byte[length];
            file.ReadExactly(bytesOfText);
            string text = s_strict.GetString(bytesOfText);
            var once = new JsonDocumentOptions { AllowDuplicateProperties = false };
            JsonNode header = JsonNode.Parse(text, documentOptions: once) ?? throw new FormatException();
            List<Entry> entries = [.. (header["tensors"] as JsonArray ?? throw new FormatException()).Select(EntryOf)];
            long bytes = 0;
            foreach (Entry entry in entries) {
                bytes = checked(bytes + entry.Bytes);
            }
            if (bytes != rest - length || entries.DistinctBy(entry => entry.Name).Count() != entries.Count) {
                throw new FormatException();
            }
            return (header["state"] ?? throw new FormatException(), entries);
        } catch (Exception error) when (error is JsonException or FormatException or OverflowException
            or InvalidOperationException or ArgumentException) {
            throw Damaged(path, "its header cannot be read");
        }
    }

    private static Entry EntryOf(JsonNode? entry)
    {
        string name = entry?["name"]?.GetValue<string>() ?? throw new FormatException();
        string type = entry["dtype"]?.GetValue<string>() ?? throw new FormatException();
        JsonArray sides = entry["shape"] as JsonArray ?? throw new FormatException();
        if (sides.Count > HighestRank || !Enum.TryParse(type, out ScalarType dtype)) {
            throw new FormatException();
        }
        long[] shape = [.. sides.Select(side => side?.GetValue<long>() ?? throw new FormatException())];
        return new Entry(name, dtype, shape, ElementTypes.Bytes(dtype, shape));
    }

    private static ExperimentException Damaged(string path, string how) =>
        new($"The checkpoint {Quoted.Path(path)} is damaged ({how}); --overwrite starts afresh.");
}
