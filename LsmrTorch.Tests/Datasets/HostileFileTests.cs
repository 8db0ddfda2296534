using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using ICSharpCode.SharpZipLib.Checksum;
using LsmrTorch.Datasets;
using NUnit.Framework;
using SkiaSharp;

namespace LsmrTorch.Tests.Datasets;

/// <summary>Files that ask for more memory or time than they are worth, or whose text is meant for the terminal.</summary>
public class HostileFileTests
{
    private const string General = "%%MatrixMarket matrix coordinate real general\n";
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [TestCase("2000000000 2 1\n1 1 1\n", "has 2000000000 rows, but with 1 entries at most 10000000 are read")]
    [TestCase("2 2000000000 1\n1 1 1\n", "has 2000000000 columns, but with 1 entries at most 10000000 are read")]
    [TestCase("10000001 1 0\n", "has 10000001 rows, but with 0 entries")]
    [TestCase("2000000000 2 1999999999\n1 1 1\n", "the file ends after 1 entries")]
    public void Rows_and_columns_are_in_proportion_to_entries(string rest, string sentence)
    {
        string path = _folder.Write("tall.mtx", General + rest);
        Refuses(() => MatrixMarket.ReadMatrix(path), sentence);
        Refuses(() => MatrixMarket.ReadVector(path), "tall.mtx");
    }

    [Test]
    public void An_array_without_rows_has_no_two_billion_columns() => Refuses(
        () => MatrixMarket.ReadMatrix(_folder.Write("wide.mtx", "%%MatrixMarket matrix array real general\n0 2000000000\n")),
        "has 2000000000 columns");

    [Test]
    public void Ten_million_rows_with_one_entry_are_read()
    {
        SparseMatrix matrix = MatrixMarket.ReadMatrix(_folder.Write("sparse.mtx", General + "10000000 3 1\n10000000 2 0.5\n"));
        Assert.That((matrix.RowStarts.Length, matrix.RowStarts[^1], matrix.RowStarts[^2]), Is.EqualTo((10_000_001, 1L, 0L)));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void A_line_without_end_is_refused_plain_and_compressed(bool isCompressed)
    {
        foreach (byte filling in "\0 1%x"u8) {
            string path = _folder["line.mtx"];
            using (Stream file = Create(path, isCompressed)) {
                file.Write(Encoding.ASCII.GetBytes(General + "2 2 1\n"));
                Fill(file, [filling], 40 << 20);
            }
            Refuses(() => MatrixMarket.ReadMatrix(path), "line 3: it has more than 16777216 characters");
            Refuses(() => MatrixMarket.ReadVector(path), "line 3: ");
        }
    }

    [Test]
    public void A_long_line_is_read_to_its_end()
    {
        double[] numbers = [.. Enumerable.Range(0, 300_000).Select(i => i / 8.0)];
        string text = string.Join(' ', numbers.Select(number => FormattableString.Invariant($"{number}")));
        string path = _folder.Write("long.mtx", $"%%MatrixMarket matrix array real general\r\n{numbers.Length} 1\r\n{text}\r\n");
        Assert.That(MatrixMarket.ReadVector(path), Is.EqualTo(numbers));
    }

    // Ends of lines fall at every place of the buffer.
    [Test]
    public void Lines_are_those_of_StreamReader()
    {
        var random = new Random(4);
        string text = string.Concat(Enumerable.Range(0, 60_000).Select(_ => random.Next(4) switch { 0 => "\n", 1 => "\r\n", 2 => "ä", _ => "\r" }));
        foreach (string content in new[] { "", "\n", "a", "a\r", "a\r\n\r\nb", text, text + "end" }) {
            string path = _folder.Write("lines.txt", content);
            var read = new List<string>();
            using (var lines = new BoundedLines(path)) {
                while (lines.Next() is string line) {
                    read.Add(line);
                    Assert.That(lines.Number, Is.EqualTo(read.Count));
                }
            }
            Assert.That(read, Is.EqualTo(File.ReadAllLines(path)));
        }
    }

    [Test]
    public void A_file_that_grows_without_end_when_decompressed_is_refused()
    {
        foreach (string line in new[] { "\n", "%\n", "1\n", "1 1 1\n" }) {
            string path = _folder["bomb.mtx"];
            using (Stream file = Create(path, isCompressed: true)) {
                file.Write(Encoding.ASCII.GetBytes(General + "9 9 100000000\n"));
                Fill(file, Encoding.ASCII.GetBytes(line), 100 << 20);
            }
            Assert.That(new FileInfo(path).Length, Is.LessThan(1 << 20));
            Refuses(() => MatrixMarket.ReadMatrix(path), "bomb.mtx");
        }
        using (Stream file = Create(_folder["data.csv.gz"], isCompressed: true)) {
            Fill(file, "1,1\n"u8, 100 << 20);
        }
        _folder.Write("test_mask.csv.gz", "1\n0\n");
        Refuses(() => UciTable.Load(_folder.FullName), "grows to over 50 times its size when it is decompressed");
    }

    [Test]
    public void Zeros_that_compress_well_are_no_attack()
    {
        string path = _folder["zeros.mtx.gz"];
        MatrixMarket.WriteVector(path, new double[1_000_000]);
        Assert.That(MatrixMarket.ReadVector(path), Has.Length.EqualTo(1_000_000).And.All.Zero);
    }

    [TestCase(30_000, 30_000)]
    [TestCase(2_000_000_000, 1)]
    [TestCase(1, 70_000)]
    [TestCase(8193, 8193)]
    public void A_png_header_of_a_huge_image_is_refused_before_anything_is_allocated(int width, int height)
    {
        File.WriteAllBytes(_folder["huge.png"], Png(width, height));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Refuses(() => ImageFile.Read(_folder["huge.png"]), "huge.png is ");
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    [TestCase(65_000, 65_000)]
    [TestCase(65_500, 65_500)]
    public void A_jpeg_header_of_a_huge_image_is_refused_before_anything_is_allocated(int width, int height)
    {
        File.WriteAllBytes(_folder["huge.jpg"], Jpeg(width, height));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Refuses(() => ImageFile.Read(_folder["huge.jpg"]), FormattableString.Invariant($"is an image of {width} x {height} pixels"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    [TestCase(1, 60_000)]
    [TestCase(60_000, 1)]
    public void A_stripe_of_an_image_is_cropped_like_any_other(int width, int height)
    {
        ImageFileTests.Encode(Made("train/a/stripe.png"), width, height, (_, _) => new SKColor(10, 20, 30), SKEncodedImageFormat.Png);
        foreach (bool isTraining in new[] { false, true }) {
            using var pass = new ImageEpoch(ImageFolder.Open(_folder.FullName, "train"),
                new ImageBatchOptions { BatchSize = 1, Training = isTraining, Side = 8, Shorter = 8 }, 0);
            using ImageBatch? batch = pass.Next();
            Assert.That(batch!.Images.bytes.ToArray(), Is.EqualTo(Enumerable.Repeat((byte)10, 64).Concat(Enumerable.Repeat((byte)20, 64)).Concat(Enumerable.Repeat((byte)30, 64))));
        }
    }

    [Test]
    public void Huge_and_endless_images_are_left_out_with_a_warning()
    {
        File.WriteAllBytes(Made("train/a/1.png"), Png(30_000, 30_000));
        File.WriteAllBytes(Made("train/a/2.jpg"), Jpeg(65_000, 65_000));
        File.WriteAllBytes(Made("train/a/3.jpg"), FlatJpeg.Of(128));
        int links = 0;
        if (File.Exists("/dev/zero")) {
            File.CreateSymbolicLink(Made("train/b/4.jpg"), "/dev/zero");
            links++;
        }
        var warnings = new List<string>();
        using var pass = new ImageEpoch(ImageFolder.Open(_folder.FullName, "train"),
            new ImageBatchOptions { BatchSize = 4, Training = false, Side = 8, Shorter = 8, Warn = warnings.Add }, 0);
        using ImageBatch? batch = pass.Next();
        Assert.That(batch!.Images.shape[0], Is.EqualTo(1));
        Assert.That(warnings, Has.Count.EqualTo(2 + links));
        Assert.That(pass.Next(), Is.Null);
    }

    [Test]
    public void A_device_that_never_ends_is_refused_by_every_reader()
    {
        if (!File.Exists("/dev/zero")) {
            Assert.Ignore("This system has no /dev/zero.");
        }
        Refuses(() => MatrixMarket.ReadMatrix("/dev/zero"), "/dev/zero");
        Refuses(() => MatrixMarket.ReadVector("/dev/zero"), "/dev/zero");
        Refuses(() => ImageFile.Read("/dev/zero"), "/dev/zero has more than the 268435456 bytes");
        Refuses(() => BoundedFile.ReadText("/dev/zero", 1 << 20), "/dev/zero has more than the 1048576 bytes");
        foreach (string name in new[] { "data_batch_1.bin", "test_batch.bin", "data.csv.gz", "test_mask.csv.gz", "classes.txt" }) {
            File.CreateSymbolicLink(_folder[name], "/dev/zero");
        }
        Directory.CreateDirectory(_folder["train/a"]);
        Refuses(() => Cifar10.Load(_folder.FullName), "data_batch_1.bin is empty");
        Refuses(() => UciTable.Load(_folder.FullName), "data.csv.gz, line 1: it has more than 16777216 characters");
        Refuses(() => ImageFolder.Open(_folder.FullName, "train"), "classes.txt, line 1: it has more than 4096 characters");
    }

    [Test]
    public void A_cifar_file_of_more_records_than_any_is_refused_by_its_length()
    {
        foreach (string name in new[] { "data_batch_1.bin", "test_batch.bin" }) {
            using FileStream file = File.Create(_folder[name]);
            file.SetLength(3073L * 1_000_000_000); // a hole on the disk
        }
        Refuses(() => Cifar10.Load(_folder.FullName), "has 1000000000 records, but a CIFAR-10 file has at most 100000");
    }

    [TestCase("\u001b[31mred\u001b[0m")]
    [TestCase("\u202eevil")]
    [TestCase("tab\tand\u0007bell")]
    public void What_is_quoted_from_a_file_does_not_steer_the_terminal(string text)
    {
        Refuses(() => MatrixMarket.ReadMatrix(_folder.Write("a.mtx", General + $"2 2 1\n1 1 {text}\n")), "a.mtx, line 3: ");
        Refuses(() => MatrixMarket.ReadMatrix(_folder.Write("a.mtx", $"%%MatrixMarket {text.Replace('\t', '_')} array real general\n")), "line 1: ");
        _folder.Write("data.csv.gz", $"1,2\n{text},3\n");
        Refuses(() => UciTable.Load(_folder.FullName), "line 2: ");
        string folder = text.Replace('/', '_');
        Made($"train/{folder}/x.txt");
        Refuses(() => ImageFolder.Open(_folder.FullName, "train"), "has no images");
    }

    [Test]
    public void What_is_quoted_is_cut()
    {
        string text = new('x', 1_000_000);
        Refuses(() => MatrixMarket.ReadMatrix(_folder.Write("a.mtx", General + $"2 2 1\n1 1 {text}\n")), $"'{text[..40]}…' is not a number");
        Refuses(() => MatrixMarket.ReadMatrix(_folder.Write("a.mtx", $"%%MatrixMarket matrix {text} real general\n")), $"'{text[..40]}…'");
        Refuses(() => MatrixMarket.ReadMatrix(_folder.Write("a.mtx", General + $"{text} 2 1\n")), $"'{text[..40]}…'");
        Refuses(() => MatrixMarket.ReadMatrix(_folder.Write("a.mtx", General + $"2 2 1\n{text}\n")), $"'{text[..40]}…'");
        _folder.Write("data.csv.gz", $"1,{text}\n");
        Refuses(() => UciTable.Load(_folder.FullName), $"'{text[..40]}…' is no finite number");
        _folder.Write("data.csv.gz", "1,2\n3,4\n");
        _folder.Write("test_mask.csv.gz", text);
        Refuses(() => UciTable.Load(_folder.FullName), $"but is '{text[..40]}…'");
        Refuses(() => MatrixMarket.ReadMatrix("/" + text), "…" + text[..40]);
    }

    /// <summary>A PNG of this size whose header alone is right.</summary>
    internal static byte[] Png(int width, int height)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (8, 2);
        return [0x89, .. "PNG\r\n\u001a\n"u8, .. Chunk("IHDR", header), .. Chunk("IDAT", [0x78, 0x9c, 3, 0, 0, 0, 0, 1]), .. Chunk("IEND", [])];

        static byte[] Chunk(string name, byte[] content)
        {
            byte[] length = new byte[4], sum = new byte[4], body = [.. Encoding.ASCII.GetBytes(name), .. content];
            var crc = new Crc32();
            crc.Update(body);
            BinaryPrimitives.WriteInt32BigEndian(length, content.Length);
            BinaryPrimitives.WriteUInt32BigEndian(sum, (uint)crc.Value);
            return [.. length, .. body, .. sum];
        }
    }

    private static byte[] Jpeg(int width, int height)
    {
        byte[] bytes = FlatJpeg.Of(128);
        int frame = bytes.AsSpan().IndexOf(new byte[] { 0xFF, 0xC0 });
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(frame + 5), (ushort)height);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(frame + 7), (ushort)width);
        return bytes;
    }

    private static void Refuses(Func<object> read, string sentence)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        DatasetException? error = Assert.Throws<DatasetException>(() => read());
        Assert.That(error!.Message, Does.Contain(sentence));
        Assert.That(error.Message.Any(letter => char.IsControl(letter) || letter is '\u202e'), Is.False, error.Message);
        Assert.That(error.Message.Length, Is.LessThan(700));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1_000_000_000));
    }

    private static Stream Create(string path, bool isCompressed)
    {
        FileStream file = File.Create(path);
        return isCompressed ? new GZipStream(file, CompressionLevel.Fastest) : file;
    }

    private static void Fill(Stream file, ReadOnlySpan<byte> pattern, int bytes)
    {
        byte[] block = new byte[pattern.Length * (100_000 / pattern.Length)];
        for (int i = 0; i < block.Length; i++) {
            block[i] = pattern[i % pattern.Length];
        }
        for (int written = 0; written < bytes; written += block.Length) {
            file.Write(block);
        }
    }

    private string Made(string name)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder[name])!);
        if (name.EndsWith(".txt", StringComparison.Ordinal)) {
            _folder.Write(name, "");
        }
        return _folder[name];
    }
}
