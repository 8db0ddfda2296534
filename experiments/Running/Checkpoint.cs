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
    private static readonly byte[] s_mark = "LsmrTorch ckpt 1"u8.ToArray();

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

    /// <summary>Reads what <see cref="Save"/> wrote; the tensors are on the CPU and belong to the caller's scope.</summary>
    /// <exception cref="ExperimentException">The file is damaged.</exception>
    public static (JsonNode State, Dictionary<string, Tensor> Tensors) Load(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        int content = bytes.Length - SHA256.HashSizeInBytes;
        if (content < s_mark.Length + 8 || !bytes.AsSpan(0, s_mark.Length).SequenceEqual(s_mark)) {
            throw Damaged(path, "it is not a checkpoint of this program");
        }
        if (!SHA256.HashData(bytes.AsSpan(0, content)).AsSpan().SequenceEqual(bytes.AsSpan(content))) {
            throw Damaged(path, "its checksum does not match");
        }
        try {
            return Parse(bytes.AsSpan(0, content));
        } catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException) {
            throw Damaged(path, "its header cannot be read");
        }
    }

    private static (JsonNode State, Dictionary<string, Tensor> Tensors) Parse(ReadOnlySpan<byte> bytes)
    {
        int position = s_mark.Length;
        int length = checked((int)BinaryPrimitives.ReadInt64LittleEndian(bytes.Slice(position, 8)));
        position += 8;
        JsonNode header = JsonNode.Parse(Encoding.UTF8.GetString(bytes.Slice(position, length)))!;
        position += length;
        var tensors = new Dictionary<string, Tensor>();
        foreach (JsonNode? entry in header["tensors"]!.AsArray()) {
            long[] shape = [.. entry!["shape"]!.AsArray().Select(size => size!.GetValue<long>())];
            var type = Enum.Parse<ScalarType>(entry["dtype"]!.GetValue<string>());
            Tensor tensor = empty(shape, type);
            Span<byte> target = tensor.bytes;
            bytes.Slice(position, target.Length).CopyTo(target);
            position += target.Length;
            tensors[entry["name"]!.GetValue<string>()] = tensor;
        }
        return (header["state"]!, tensors);
    }

    private static ExperimentException Damaged(string path, string how) =>
        new($"The checkpoint {path} is damaged ({how}); delete it to start afresh.");
}
