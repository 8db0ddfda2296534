using System.Security.Cryptography;
using LsmrTorch.Datasets;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Datasets;

public class Cifar10GeneratorTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void The_files_load_as_the_images_made_in_memory()
    {
        Cifar10Generator.Write(_folder.FullName, 13, 21, 5);
        using Cifar10 loaded = Cifar10.Load(_folder.FullName);
        using Cifar10 made = Cifar10Generator.Generate(65, 21, 5);
        Assert.Multiple(() => {
            Assert.That(Bytes(loaded), Is.EqualTo(Bytes(made)));
            Assert.That(Labels(loaded.TrainLabels), Is.EqualTo(Labels(made.TrainLabels)));
            Assert.That(Labels(loaded.TestLabels), Is.EqualTo(Labels(made.TestLabels)));
        });
    }

    [Test]
    public void Only_the_six_files_are_left_and_older_ones_are_replaced()
    {
        Cifar10Generator.Write(_folder["new/folder"], 2, 2, 1);
        string[] files = [.. Enumerable.Range(1, 5).Select(k => $"data_batch_{k}.bin"), "test_batch.bin"];
        Assert.That(Names(_folder["new/folder"]), Is.EquivalentTo(files));
        Cifar10Generator.Write(_folder["new/folder"], 1, 3, 1);
        Assert.That(Names(_folder["new/folder"]), Is.EquivalentTo(files));
        using Cifar10 data = Cifar10.Load(_folder["new/folder"]);
        Assert.That((data.TrainImages.shape[0], data.TestImages.shape[0]), Is.EqualTo((5L, 3L)));
    }

    [Test]
    public void A_seed_gives_the_same_bytes_on_every_machine()
    {
        using Cifar10 data = Cifar10Generator.Generate(40, 20, 2026);
        string hash = Convert.ToHexStringLower(SHA256.HashData(Bytes(data)));
        Assert.That(hash, Is.EqualTo("73337d5aa5f78480575f010c7eb7d0172803f560cb4b0c48411506cc3d2a6a58"));
    }

    [Test]
    public void Another_seed_and_the_test_part_are_other_images()
    {
        using Cifar10 one = Cifar10Generator.Generate(10, 10, 1);
        using Cifar10 two = Cifar10Generator.Generate(10, 10, 2);
        Assert.Multiple(() => {
            Assert.That(Bytes(one.TrainImages), Is.Not.EqualTo(Bytes(two.TrainImages)));
            Assert.That(Bytes(one.TrainImages), Is.Not.EqualTo(Bytes(one.TestImages)));
        });
    }

    [Test]
    public void An_image_does_not_depend_on_how_many_are_made()
    {
        using Cifar10 few = Cifar10Generator.Generate(7, 3, 11);
        using Cifar10 more = Cifar10Generator.Generate(25, 3, 11);
        byte[] expected = Bytes(few.TrainImages);
        Assert.That(Bytes(more.TrainImages)[..expected.Length], Is.EqualTo(expected));
    }

    [Test]
    public void Every_ten_images_hold_each_class_once()
    {
        using Cifar10 data = Cifar10Generator.Generate(100, 50, 3);
        foreach (long[] ten in Labels(data.TrainLabels).Concat(Labels(data.TestLabels)).Chunk(10)) {
            Assert.That(ten.Order(), Is.EqualTo(Enumerable.Range(0, 10)));
        }
    }

    [Test]
    public void Raw_pixels_tell_the_classes_only_a_little_better_than_chance()
    {
        // A small residual network reaches about 80 % after eight epochs of 2,000 images.
        using Cifar10 data = Cifar10Generator.Generate(1000, 500, 1);
        using var scope = NewDisposeScope();
        Tensor train = data.TrainImages.to(float32).view(1000, -1), test = data.TestImages.to(float32).view(500, -1);
        Tensor means = stack([.. Enumerable.Range(0, 10).Select(c => train[data.TrainLabels == c].mean([0L]))]);
        Tensor right = cdist(test, means).argmin(1) == data.TestLabels;
        double accuracy = right.to(float64).mean().item<double>();
        TestContext.Out.WriteLine($"nearest class mean: {accuracy:P1}");
        Assert.That(accuracy, Is.GreaterThan(0.12).And.LessThan(0.35));
    }

    [Test]
    public void Every_live_tensor_is_one_that_is_returned()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (Cifar10 data = Cifar10Generator.Generate(2, 1, 1)) {
            Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(before + 4));
        }
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(before));
    }

    [Test]
    public void A_folder_that_cannot_be_made_is_named()
    {
        string file = _folder.Write("file", "in the way");
        Assert.That(() => Cifar10Generator.Write(file, 1, 1, 1),
            Throws.TypeOf<DatasetException>().With.Message.Contains($"{file} cannot be written"));
    }

    [Test]
    public void A_file_that_cannot_be_replaced_is_named_and_nothing_half_written_stays()
    {
        Directory.CreateDirectory(_folder["data_batch_2.bin"]);
        Assert.That(() => Cifar10Generator.Write(_folder.FullName, 1, 1, 1),
            Throws.TypeOf<DatasetException>().With.Message.Contains("data_batch_2.bin cannot be written"));
        Assert.That(_folder.Files, Is.EqualTo(new[] { "data_batch_1.bin" }));
    }

    [TestCase(0, 1)]
    [TestCase(1, 0)]
    [TestCase(-1, 1)]
    [TestCase(int.MaxValue, 1)]
    [TestCase(1, int.MaxValue)]
    public void A_number_of_images_out_of_range_is_misuse_and_older_files_stay(int train, int test)
    {
        _folder.Write("test_batch.bin", "older");
        Assert.That(() => Cifar10Generator.Generate(train, test, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => Cifar10Generator.Write(_folder.FullName, train, test, 1),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(_folder.Files, Is.EqualTo(new[] { "test_batch.bin" }));
    }

    private static byte[] Bytes(Cifar10 data) => [.. Bytes(data.TrainImages), .. Bytes(data.TestImages)];

    private static byte[] Bytes(Tensor images) => images.data<byte>().ToArray();

    private static IEnumerable<string?> Names(string folder) => Directory.GetFiles(folder).Select(Path.GetFileName);

    private static long[] Labels(Tensor labels) => labels.data<long>().ToArray();
}
