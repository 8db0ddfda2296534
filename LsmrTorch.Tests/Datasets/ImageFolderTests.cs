using LsmrTorch.Datasets;
using NUnit.Framework;
using SkiaSharp;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Datasets;

public class ImageFolderTests
{
    private TemporaryFolder _root = null!;

    [SetUp]
    public void MakeFolder() => _root = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _root.Dispose();

    [Test]
    public void Labels_are_the_places_of_the_sorted_class_folders_of_both_parts()
    {
        Image("train/n02/b.JPEG");
        Image("train/n10/a.png");
        Image("train/n02/a.jpg");
        Image("val/N9/c.jpeg");
        File.WriteAllText(_root["train/n02/notes.txt"], "no image");
        ImageFolder train = ImageFolder.Open(_root.FullName, "train");
        Assert.That(train.Classes, Is.EqualTo(new[] { "N9", "n02", "n10" }));
        Assert.That(train.ClassNames, Is.EqualTo(train.Classes));
        Assert.That(train.Images.Select(image => (Path.GetFileName(image.Path), image.Label)),
            Is.EqualTo(new[] { ("a.jpg", 1L), ("b.JPEG", 1L), ("a.png", 2L) }));
        Assert.That(ImageFolder.Open(_root.FullName, "val").Images.Single().Label, Is.Zero);
    }

    [Test]
    public void Classes_txt_names_the_classes_and_may_have_more_of_them()
    {
        Image("val/n02/a.png");
        File.WriteAllText(_root["classes.txt"], "n03  great white shark\n\nn02 tench\nn01\n");
        ImageFolder images = ImageFolder.Open(_root.FullName, "val");
        Assert.That(images.Classes, Is.EqualTo(new[] { "n01", "n02", "n03" }));
        Assert.That(images.ClassNames, Is.EqualTo(new[] { "n01", "tench", "great white shark" }));
        Assert.That(images.Images.Single().Label, Is.EqualTo(1));
        Image("val/n04/a.png");
        Refuses("val", "n04 is a class folder, but classes.txt does not name it");
        File.WriteAllText(_root["classes.txt"], "n02 a\nn02 b\n");
        Refuses("val", "names the class folder n02 twice");
    }

    [Test]
    public void Some_of_the_images_are_spread_over_the_classes_and_keep_their_labels()
    {
        foreach (string name in new[] { "c0/a", "c0/b", "c1/a", "c1/b", "c2/a", "c2/b", "c3/a" }) {
            Image($"val/{name}.png");
        }
        ImageFolder folder = ImageFolder.Open(_root.FullName, "val");
        Assert.That(folder.Spread(3).Images, Is.EqualTo(new[] { folder.Images[0], folder.Images[2], folder.Images[4] }));
        Assert.That(folder.Spread(3).Classes, Has.Count.EqualTo(4));
        Assert.That(folder.Spread(7).Images, Is.EqualTo(folder.Images));
        Assert.That(folder.Spread(9).Images, Is.EqualTo(folder.Images));
        Assert.That(() => folder.Spread(0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void What_is_missing_is_named()
    {
        Refuses("val", "val does not exist");
        Directory.CreateDirectory(_root["val"]);
        Refuses("val", "has no class folders");
        Directory.CreateDirectory(_root["val/n01"]);
        File.WriteAllText(_root["val/n01/notes.txt"], "");
        Refuses("val", "n01 has no images");
        Assert.That(() => ImageFolder.Open(_root.FullName, "test"), Throws.ArgumentException.With.Message.Contains("'test'"));
    }

    [Test]
    public void A_batch_depends_on_seed_epoch_and_image_alone()
    {
        Images(7);
        ImageFolder folder = ImageFolder.Open(_root.FullName, "train");
        Dictionary<long, byte[]> first = Epoch(folder, 3, 0, 5), again = Epoch(folder, 4, 0, 5);
        Assert.That(first, Has.Count.EqualTo(7));
        Assert.That(again, Is.EquivalentTo(first), "the size of a batch changes no image");
        Assert.That(Epoch(folder, 3, 1, 5)[2], Is.Not.EqualTo(first[2]), "another epoch");
        Assert.That(Epoch(folder, 3, 0, 6)[2], Is.Not.EqualTo(first[2]), "another seed");

        var orders = Enumerable.Range(0, 4).Select(epoch => string.Join(' ', Order(folder, epoch))).ToList();
        Assert.That(orders.Distinct().Count(), Is.GreaterThan(2));
        Assert.That(string.Join(' ', Order(folder, 2)), Is.EqualTo(orders[2]));
    }

    [Test]
    public void Test_images_come_in_order_in_batches_the_last_of_which_is_smaller()
    {
        Images(5);
        using var scope = NewDisposeScope();
        ImageFolder folder = ImageFolder.Open(_root.FullName, "train");
        using var epoch = new ImageEpoch(folder, new ImageBatchOptions { BatchSize = 2, Training = false, Side = 8, Shorter = 10 }, 0);
        var labels = new List<long[]>();
        while (epoch.Next() is ImageBatch batch) {
            using (batch) {
                Assert.That(batch.Images.shape, Is.EqualTo(new long[] { batch.Labels.size(0), 3, 8, 8 }));
                labels.Add(batch.Labels.data<long>().ToArray());
                // Red is flat: 10 times the class.
                Assert.That(batch.Images[0, 0].eq((byte)(10 * labels[^1][0])).all().item<bool>(), Is.True);
            }
        }
        Assert.That(labels, Is.EqualTo(new long[][] { [0, 1], [2, 3], [4] }));
    }

    [Test]
    public void What_is_decoded_ahead_is_what_would_have_come()
    {
        Images(7);
        ImageFolder folder = ImageFolder.Open(_root.FullName, "train");
        var options = new ImageBatchOptions { BatchSize = 2, Training = true, Side = 8, Ahead = 2 };
        using var plain = new ImageEpoch(folder, options, 0);
        using var ahead = new ImageEpoch(folder, options, 0);
        Assert.That(ahead.Prepare(3), Is.True);
        Assert.That(ahead.Prepare(100), Is.False, "two batches are ahead");
        for (int i = 0; i < 4; i++) {
            using ImageBatch expected = plain.Next()!, found = ahead.Next()!;
            Assert.That(found.Images.bytes.ToArray(), Is.EqualTo(expected.Images.bytes.ToArray()));
            Assert.That(found.Labels.bytes.ToArray(), Is.EqualTo(expected.Labels.bytes.ToArray()));
            using (NewDisposeScope()) { // the scope of a step does not free what is made for the next
                ahead.Prepare(1);
            }
        }
        Assert.That((plain.Next(), ahead.Next()), Is.EqualTo(((ImageBatch?)null, (ImageBatch?)null)));
    }

    [Test]
    public void A_broken_file_is_left_out_with_a_warning_or_ends_the_epoch()
    {
        Images(5);
        File.WriteAllText(_root["train/c1/x.jpg"], "no image");
        File.WriteAllText(_root["train/c4/x.jpg"], "no image");
        ImageFolder folder = ImageFolder.Open(_root.FullName, "train");
        var options = new ImageBatchOptions { BatchSize = 3, Training = false, Side = 8, Shorter = 8 };
        var warnings = new List<string>();
        Check.LeavesNoTensors(() => {
            using var epoch = new ImageEpoch(folder, options with { Warn = warnings.Add }, 0);
            var labels = new List<long>();
            while (epoch.Next() is ImageBatch batch) {
                using (batch) {
                    labels.AddRange(batch.Labels.data<long>().ToArray());
                }
            }
            Assert.That(labels, Is.EqualTo(new long[] { 0, 1, 2, 3, 4 }));
        });
        Assert.That(warnings, Has.Count.EqualTo(2));
        Assert.That(warnings[0], Does.Contain("x.jpg is no image"));
        Check.LeavesNoTensors(() => {
            using var epoch = new ImageEpoch(folder, options, 0);
            Assert.That(() => epoch.Next(), Throws.TypeOf<DatasetException>().With.Message.Contains("x.jpg"));
        });
    }

    [Test]
    public void A_folder_of_broken_files_gives_no_batch()
    {
        Directory.CreateDirectory(_root["val/c0"]);
        File.WriteAllText(_root["val/c0/x.jpg"], "no image");
        var options = new ImageBatchOptions { BatchSize = 3, Training = false, Warn = _ => { } };
        Check.LeavesNoTensors(() => {
            using var epoch = new ImageEpoch(ImageFolder.Open(_root.FullName, "val"), options, 0);
            Assert.That(epoch.Next(), Is.Null);
        });
    }

    [Test]
    public void Images_that_were_never_asked_for_are_freed()
    {
        Images(5);
        ImageFolder folder = ImageFolder.Open(_root.FullName, "train");
        Check.LeavesNoTensors(() => {
            using var epoch = new ImageEpoch(folder, new ImageBatchOptions { BatchSize = 2, Training = true, Side = 8 }, 0);
            epoch.Prepare(3);
        });
    }

    [Test]
    public void Normalised_images_have_the_constants_of_torchvision()
    {
        using var scope = NewDisposeScope();
        Tensor images = tensor(new byte[] { 0, 255, 51 }, uint8).view(1, 3, 1, 1);
        Tensor found = null!;
        Check.LeavesNoTensors(() => found = ImageNet.Normalise(images), returned: 1);
        Tensor expected = tensor(new[] { -0.485 / 0.229, (1 - 0.456) / 0.224, (0.2 - 0.406) / 0.225 }).view(1, 3, 1, 1);
        Check.Close(found, expected, 1e-6, "normalised"); // float32, three operations
        Assert.That(() => ImageNet.Normalise(found), Throws.ArgumentException.With.Message.Contains("(1, 3, 1, 1) of Float32"));
    }

    [Test]
    public void The_real_images_are_decoded()
    {
        ImageFolder folder = ImageFolder.Open(SharedData.Require("imagenet"), "val");
        Assert.That((folder.Classes.Count, folder.Images.Count), Is.EqualTo((200, 200)));
        Assert.That((folder.Classes[0], folder.ClassNames[0]), Is.EqualTo(("n01440764", "tench")));
        using var scope = NewDisposeScope();
        using var epoch = new ImageEpoch(folder, new ImageBatchOptions { BatchSize = 200, Training = false }, 0);
        using ImageBatch all = epoch.Next()!;
        Assert.That(all.Images.shape, Is.EqualTo(new long[] { 200, 3, 224, 224 }));
        Assert.That(all.Labels.data<long>().ToArray(), Is.EqualTo(Enumerable.Range(0, 200)));
        Tensor normal = ImageNet.Normalise(all.Images);
        double[] means = Problems.Values(normal.mean([0, 2, 3]));
        double[] deviations = Problems.Values(normal.std([0, 2, 3]));
        // The constants are those of all training images; 200 of one each differ by about 1/√200 of an image's deviation.
        Assert.That(means, Is.All.InRange(-0.25, 0.25));
        Assert.That(deviations, Is.All.InRange(0.8, 1.2));
        foreach (string grey in new[] { "n02692877", "n03908714", "n04254680" }) { // files of one component
            Tensor image = all.Images[folder.Classes.ToList().IndexOf(grey)];
            Assert.That(image[0].eq(image[1]).all().item<bool>() && image[0].eq(image[2]).all().item<bool>(), Is.True, grey);
        }
    }

    private void Refuses(string split, string reason) => Assert.That(() => ImageFolder.Open(_root.FullName, split),
        Throws.TypeOf<DatasetException>().With.Message.Contains(reason));

    /// <summary>Classes c0, c1, … with one image each, all gradient but for class 0 to <paramref name="count"/> − 1 in red.</summary>
    private void Images(int count)
    {
        for (int i = 0; i < count; i++) {
            Directory.CreateDirectory(_root[$"train/c{i}"]);
            int red = 10 * i;
            ImageFileTests.Encode(_root[$"train/c{i}/image.png"], 12, 16, (x, _) => new SKColor((byte)red, (byte)(x % 6), 0), SKEncodedImageFormat.Png);
        }
    }

    private void Image(string name)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_root[name])!);
        ImageFileTests.Encode(_root[name], 3, 2, (_, _) => SKColors.Red, SKEncodedImageFormat.Png);
    }

    private static long[] Order(ImageFolder folder, int number)
    {
        using var epoch = new ImageEpoch(folder, new ImageBatchOptions { BatchSize = 100, Training = true, Side = 4 }, number);
        using ImageBatch batch = epoch.Next()!;
        return batch.Labels.data<long>().ToArray();
    }

    /// <summary>The bytes of each class's image.</summary>
    private static Dictionary<long, byte[]> Epoch(ImageFolder folder, int batchSize, int number, long seed)
    {
        using var epoch = new ImageEpoch(folder, new ImageBatchOptions { BatchSize = batchSize, Training = true, Side = 8, Seed = seed }, number);
        var images = new Dictionary<long, byte[]>();
        while (epoch.Next() is ImageBatch batch) {
            using var scope = NewDisposeScope();
            using (batch) {
                long[] labels = batch.Labels.data<long>().ToArray();
                for (int i = 0; i < labels.Length; i++) {
                    images[labels[i]] = batch.Images[i].contiguous().bytes.ToArray();
                }
            }
        }
        return images;
    }
}
