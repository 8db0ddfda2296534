using LsmrTorch.Datasets;
using NUnit.Framework;
using TorchSharp;

namespace LsmrTorch.Tests.Datasets;

public class Cifar10Tests
{
    private const int RecordBytes = 3073;
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Pixels_and_labels_come_back_in_their_places()
    {
        WriteFile("data_batch_2.bin", 7, 1);
        WriteFile("test_batch.bin", 9);
        using Cifar10 data = Cifar10.Load(_folder.FullName);
        using var scope = torch.NewDisposeScope();
        Assert.Multiple(() => {
            Assert.That(data.TrainImages.shape, Is.EqualTo(new long[] { 2, 3, 32, 32 }));
            Assert.That(data.TrainImages.dtype, Is.EqualTo(torch.uint8));
            Assert.That(data.TrainLabels.dtype, Is.EqualTo(torch.int64));
            Assert.That(data.TrainLabels.data<long>().ToArray(), Is.EqualTo(new long[] { 7, 1 }));
            Assert.That(data.TestImages.shape, Is.EqualTo(new long[] { 1, 3, 32, 32 }));
            Assert.That(data.TestLabels.data<long>().ToArray(), Is.EqualTo(new long[] { 9 }));
            // Image 1, green plane, row 4, column 5 is byte 1 + 1024 + 4 * 32 + 5 of its record.
            Assert.That(data.TrainImages[1, 1, 4, 5].item<byte>(), Is.EqualTo(Pixel(1, 1024 + 4 * 32 + 5)));
            Assert.That(data.TestImages[0, 2, 31, 31].item<byte>(), Is.EqualTo(Pixel(0, 3071)));
        });
    }

    [Test]
    public void Training_files_are_joined_in_the_order_of_their_numbers()
    {
        WriteFile("data_batch_5.bin", 5);
        WriteFile("data_batch_1.bin", 1, 2, 3);
        WriteFile("data_batch_3.bin", 4);
        WriteFile("test_batch.bin", 0);
        using Cifar10 data = Cifar10.Load(_folder.FullName);
        using var scope = torch.NewDisposeScope();
        Assert.That(data.TrainLabels.data<long>().ToArray(), Is.EqualTo(new long[] { 1, 2, 3, 4, 5 }));
    }

    [Test]
    public void Every_live_tensor_is_one_that_is_returned()
    {
        WriteFile("data_batch_1.bin", 1);
        WriteFile("data_batch_2.bin", 2);
        WriteFile("test_batch.bin", 0);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (Cifar10 data = Cifar10.Load(_folder.FullName)) {
            Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(before + 4));
        }
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(before));
    }

    [Test]
    public void A_missing_folder_is_named()
        => Refuses(_folder["nowhere"], "nowhere does not exist.");

    [Test]
    public void A_folder_without_training_files_is_refused()
    {
        WriteFile("test_batch.bin", 0);
        Refuses(_folder.FullName, "has none of the training files data_batch_1.bin to data_batch_5.bin");
    }

    [Test]
    public void A_folder_without_the_test_file_is_refused()
    {
        WriteFile("data_batch_1.bin", 0);
        Refuses(_folder.FullName, "has no test_batch.bin");
    }

    [Test]
    public void A_file_cut_short_is_named_with_its_size()
    {
        WriteFile("data_batch_1.bin", 0);
        WriteFile("test_batch.bin", 0);
        File.WriteAllBytes(_folder["data_batch_3.bin"], new byte[2 * RecordBytes - 1]);
        Refuses(_folder.FullName, "data_batch_3.bin has 6145 bytes, which is not a multiple of the 3073 bytes");
    }

    [Test]
    public void An_empty_file_is_named()
    {
        WriteFile("data_batch_1.bin", 0);
        File.WriteAllBytes(_folder["test_batch.bin"], []);
        Refuses(_folder.FullName, "test_batch.bin is empty");
    }

    [Test]
    public void A_label_over_nine_is_named_with_its_record()
    {
        WriteFile("data_batch_1.bin", 0, 9, 10, 3);
        WriteFile("test_batch.bin", 0);
        Refuses(_folder.FullName, "data_batch_1.bin: record 2 (counted from 0) has the label 10");
    }

    [Test]
    public void The_real_files_load_with_every_class()
    {
        using Cifar10 data = Cifar10.Load(SharedData.Require("cifar-10-batches-bin"));
        using var scope = torch.NewDisposeScope();
        Assert.Multiple(() => {
            Assert.That(data.TrainImages.shape, Is.EqualTo(new long[] { 5 * 1017, 3, 32, 32 }));
            Assert.That(data.TestImages.shape, Is.EqualTo(new long[] { 512, 3, 32, 32 }));
            Assert.That(data.TrainLabels.data<long>().Distinct().Order(), Is.EqualTo(Enumerable.Range(0, 10)));
            // The mean of the 50,000 training images is 0.4734 of 255.
            Assert.That(data.TrainImages.to(torch.float64).mean().item<double>() / 255, Is.EqualTo(0.473).Within(0.01));
        });
    }

    private static void Refuses(string folder, string reason)
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.That(() => Cifar10.Load(folder), Throws.TypeOf<DatasetException>().With.Message.Contains(reason));
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(before));
    }

    private static byte Pixel(int record, int index) => (byte)(index * 31 + index / 256 + 101 * record);

    private void WriteFile(string name, params byte[] labels)
    {
        var bytes = new byte[labels.Length * RecordBytes];
        for (int record = 0; record < labels.Length; record++) {
            bytes[record * RecordBytes] = labels[record];
            for (int i = 0; i < RecordBytes - 1; i++) {
                bytes[record * RecordBytes + 1 + i] = Pixel(record, i);
            }
        }
        File.WriteAllBytes(_folder[name], bytes);
    }
}
