using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

public class CheckpointTests
{
    private TemporaryFolder _folder = null!;
    private string _path = null!;

    [SetUp]
    public void Save()
    {
        _folder = new TemporaryFolder();
        _path = _folder["state.ckpt"];
        using var scope = NewDisposeScope();
        Checkpoint.Save(_path, new JsonObject { ["epoch"] = 7 }, new Dictionary<string, Tensor> {
            ["a"] = tensor(new float[] { 1, 2, 3, 4, 5, 6 }).view(2, 3).t(),
            ["b"] = tensor(new[] { true, false, true }),
            ["c"] = tensor(42L),
            ["d"] = zeros(0, 3),
        });
    }

    [TearDown]
    public void Delete() => _folder.Dispose();

    [Test]
    public void Comes_back_as_it_was_saved()
    {
        using var scope = NewDisposeScope();
        (JsonNode state, Dictionary<string, Tensor> tensors) = Checkpoint.Load(_path);
        Assert.That(state["epoch"]!.GetValue<int>(), Is.EqualTo(7));
        Assert.That(tensors.Keys, Is.EqualTo(new[] { "a", "b", "c", "d" }));
        Assert.That(tensors["a"].shape, Is.EqualTo(new long[] { 3, 2 }));
        Assert.That(tensors["a"].data<float>().ToArray(), Is.EqualTo(new float[] { 1, 4, 2, 5, 3, 6 }));
        Assert.That(tensors["b"].data<bool>().ToArray(), Is.EqualTo(new[] { true, false, true }));
        Assert.That(tensors["c"].item<long>(), Is.EqualTo(42));
        Assert.That(tensors["d"].shape, Is.EqualTo(new long[] { 0, 3 }));
    }

    [Test]
    public void Leaves_no_partial_file_beside_it() =>
        Assert.That(Directory.GetFiles(_folder.FullName), Is.EqualTo(new[] { _path }));

    [TestCase(0, "is damaged (it is not a checkpoint of this program)")]
    [TestCase(10, "is damaged (it is not a checkpoint of this program)")]
    [TestCase(150, "is damaged (its checksum does not match)")]
    public void A_file_that_is_cut_short_is_one_sentence(int length, string sentence)
    {
        using (FileStream stream = File.OpenWrite(_path)) {
            stream.SetLength(length);
        }
        Assert.That(() => Checkpoint.Load(_path), Throws.TypeOf<ExperimentException>().With.Message.Contains(sentence));
    }

    [Test]
    public void A_checkpoint_of_an_older_version_is_refused_by_its_mark()
    {
        byte[] bytes = File.ReadAllBytes(_path);
        bytes["LsmrTorch ckpt ".Length] = (byte)'1';
        File.WriteAllBytes(_path, bytes);
        Assert.That(() => Checkpoint.Load(_path),
            Throws.TypeOf<ExperimentException>().With.Message.Contains("is of an older version of this program"));
    }

    // Someone who can make a checksum can write anything: nothing of it may reach libtorch unchecked.
    [TestCase("\"Float32\"", "\"Complex128\"")]
    [TestCase("\"Float32\"", "\"77\"")]
    [TestCase("\"Float32\"", "77")]
    [TestCase("[3,2]", "[3,-2]")]
    [TestCase("[3,2]", "[4611686018427387904,8]")]
    [TestCase("[3,2]", "[3000000000,200]")]
    [TestCase("[3,2]", "[3,1]")]
    [TestCase("[3,2]", "[1.5,4]")]
    [TestCase("[3,2]", "null")]
    [TestCase("\"name\":\"a\"", "\"name\":\"b\"")]
    [TestCase("\"name\":\"a\"", "\"name\":null")]
    [TestCase("\"state\"", "\"other\"")]
    [TestCase("\"tensors\":[", "\"tensors\":[7,")]
    [TestCase("{", "[")]
    public void A_header_that_lies_is_refused_though_the_checksum_is_right(string found, string replaced)
    {
        byte[] bytes = File.ReadAllBytes(_path);
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(16));
        string header = Encoding.UTF8.GetString(bytes, 24, length);
        Assert.That(header, Does.Contain(found));
        int at = header.IndexOf(found, StringComparison.Ordinal);
        byte[] changed = Encoding.UTF8.GetBytes(header[..at] + replaced + header[(at + found.Length)..]);
        byte[] lengths = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(lengths, changed.Length);
        byte[] content = [.. bytes[..16], .. lengths, .. changed, .. bytes[(24 + length)..^32]];
        File.WriteAllBytes(_path, [.. content, .. SHA256.HashData(content)]);
        Check.LeavesNoTensors(() => Assert.That(() => Checkpoint.Load(_path),
            Throws.TypeOf<ExperimentException>().With.Message.Contains("is damaged (its header cannot be read)")));
    }

    [TestCase("/dev/zero")]
    [TestCase("/no/such/checkpoint")]
    public void What_is_no_file_is_refused(string path) =>
        Assert.That(() => Checkpoint.Load(path), Throws.TypeOf<ExperimentException>());

    [Test]
    public void A_single_flipped_bit_is_noticed([Values(20, 100, 250)] int place)
    {
        byte[] bytes = File.ReadAllBytes(_path);
        bytes[place] ^= 1;
        File.WriteAllBytes(_path, bytes);
        Assert.That(() => Checkpoint.Load(_path), Throws.TypeOf<ExperimentException>().With.Message.Contains("checksum"));
    }
}
