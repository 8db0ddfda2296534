using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.GradientCheck;
using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using SkiaSharp;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Fuzz;

/// <summary>Every reader of the data sets and of the runner, with valid files of its own.</summary>
internal static class FuzzReaders
{
    private const string General = "%%MatrixMarket matrix coordinate real general\n";

    private static readonly string[] s_matrices = [
        General + "% a comment\n4 2 6\n4 2 5\n1 1 2\n1 2 1\n2 2 3.5e-1\n3 1 1\n4 1 4\n",
        "%%MatrixMarket matrix coordinate pattern symmetric\n3 3 3\n1 1\n2 1\n3 2\n",
        "%%MatrixMarket matrix coordinate integer skew-symmetric\n3 3 2\n2 1 7\n3 1 -4\n",
        "%%MatrixMarket matrix array real general\n3 2\n1\n2\n3\n4\n5\n6\n",
        "%%MatrixMarket matrix array real symmetric\n2 2\n1.25 -2\n3\n",
    ];

    private static readonly string[] s_vectors = [
        "%%MatrixMarket matrix array real general\n4 1\n1\n-2\n0.5\n3e10\n",
        General + "1 5 2\n1 2 7\n1 5 8\n",
    ];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<FuzzReader> All { get; } = [
        Dataset("cifar-10", (folder, _) => Cifar10Generator.Write(folder, 2, 1, 7), folder => Cifar10.Load(folder).Dispose()),
        Dataset("matrix-market", (folder, input) => Plain(folder, "a.mtx", s_matrices[input]),
            folder => MatrixMarket.ReadMatrix(Path.Combine(folder, "a.mtx"))) with { Inputs = s_matrices.Length },
        Dataset("matrix-market-gz", (folder, input) => Compressed(folder, "a.mtx", s_matrices[input]),
            folder => MatrixMarket.ReadMatrix(Path.Combine(folder, "a.mtx"))) with { Inputs = s_matrices.Length },
        Dataset("vector", (folder, input) => Plain(folder, "b.mtx", s_vectors[input]),
            folder => MatrixMarket.ReadVector(Path.Combine(folder, "b.mtx"))) with { Inputs = s_vectors.Length },
        Dataset("uci", (folder, _) => Uci(folder, Plain), ReadUci),
        Dataset("uci-gz", (folder, _) => Uci(folder, Compressed), ReadUci),
        Dataset("image", (folder, input) => Image(Path.Combine(folder, "image.jpg"), input),
            folder => ImageFile.Read(Path.Combine(folder, "image.jpg")).Dispose()) with { Inputs = 3 },
        Dataset("image-folder", Images, folder => ReadImages(folder, warn: false)) with { Inputs = 3 },
        new("image-folder-warned", Images, folder => ReadImages(folder, warn: true),
            error => error is DatasetException && !error.Message.Contains("image.", StringComparison.Ordinal)) { Inputs = 3 },
        Dataset("class-list", Images, folder => ReadImages(folder, warn: false)) with { IsDamaged = name => name == "classes.txt" },
        Runner("weights", (folder, _) => Weights(folder), ReadWeights),
        Runner("checkpoint", (folder, _) => Saved(folder), ReadCheckpoint),
        Runner("checkpoint-signed", (folder, _) => Saved(folder), ReadCheckpoint) with { Sign = Signed },
        Runner("run-folder", (folder, _) => Run(folder), Resume),
        Runner("run-folder-signed", (folder, _) => Run(folder), Resume) with { Sign = Signed },
        Runner("run-folder-started", (folder, _) => Run(folder), StartAnew),
        Runner("config", (folder, _) => Run(folder), Resume) with { IsDamaged = name => name == "config.json" },
        Runner("cases", (folder, _) => Plain(folder, "cases.json", Cases), folder => CasesFile.Read(Path.Combine(folder, "cases.json"))),
        new("command-line", (folder, input) => Plain(folder, "words.txt", CommandLines.All[input]), CommandLines.Run, _ => false) { Inputs = CommandLines.All.Count },
    ];

    // A = [2 0; 0 4; 0 0], as the tests of gradient-check have it.
    private const string Cases = """
        {"note": "", "small": [{"name": "by hand", "m": 3, "n": 2, "A_rowmajor": [2, 0, 0, 4, 0, 0], "b": [2, 4, 1], "damp": 0, "x0": [0, 0],
         "g": [1, 2], "rank": 2, "x": [1, 1], "dL_db": [0.5, 0.5, 0], "dL_dA_rowmajor": [-0.5, -0.5, -0.5, -0.5, 0.25, 0.125], "dL_dx0": [0, 0],
         "dL_ddamp": 0}], "real": []}
        """;

    private static FuzzReader Dataset(string name, Action<string, int> write, Action<string> read) =>
        new(name, write, read, error => error is DatasetException);

    private static FuzzReader Runner(string name, Action<string, int> write, Action<string> read) =>
        new(name, write, read, error => error is ExperimentException or DatasetException);

    private static void Plain(string folder, string name, string text) => File.WriteAllText(Path.Combine(folder, name), text);

    private static void Compressed(string folder, string name, string text)
    {
        using var writer = new StreamWriter(new GZipStream(File.Create(Path.Combine(folder, name)), CompressionLevel.Fastest));
        writer.Write(text);
    }

    private static void Uci(string folder, Action<string, string, string> write)
    {
        write(folder, UciTable.DataFile, "1,2.5,3\n4,-5e3,6\n7,8,9.75\n10,11,1e-3\n");
        write(folder, UciTable.MaskFile, "0,1\n0,0\n1,0\n0,0\n");
    }

    private static void ReadUci(string folder)
    {
        UciTable table = UciTable.Load(folder);
        for (int split = 0; split < Math.Min(table.Splits, 3); split++) {
            table.Split(split).Dispose();
        }
    }

    private static void Image(string path, int kind)
    {
        using var bitmap = new SKBitmap(24, 16);
        for (int i = 0; i < 24 * 16; i++) {
            bitmap.SetPixel(i % 24, i / 24, new SKColor((byte)(i * 7), (byte)(i * 3), (byte)i));
        }
        using SKData data = bitmap.Encode(kind == 0 ? SKEncodedImageFormat.Jpeg : kind == 1 ? SKEncodedImageFormat.Png : SKEncodedImageFormat.Webp, 90);
        File.WriteAllBytes(path, data.ToArray());
    }

    private static void Images(string folder, int kind)
    {
        foreach (string name in new[] { "train/a", "train/b", "val/a" }) {
            Directory.CreateDirectory(Path.Combine(folder, name));
            Image(Path.Combine(folder, name, "image.jpeg"), kind);
        }
        Plain(folder, "classes.txt", "a first class\nb second class\nc\n");
    }

    private static void ReadImages(string folder, bool warn)
    {
        foreach (string part in new[] { "train", "val" }) {
            using var pass = new ImageEpoch(ImageFolder.Open(folder, part),
                new ImageBatchOptions { BatchSize = 2, Training = part == "train", Side = 8, Shorter = 8, Warn = warn ? _ => { } : null }, 0);
            while (pass.Next() is ImageBatch batch) {
                batch.Dispose();
            }
        }
    }

    private static void Weights(string folder)
    {
        using var scope = NewDisposeScope();
        using var model = new Perceptron([2, 3, 1], Activation.Tanh, seed: 1);
        model.save(Path.Combine(folder, "weights.dat"));
    }

    private static void ReadWeights(string folder)
    {
        using var scope = NewDisposeScope();
        using var model = new Perceptron([2, 3, 1], Activation.Tanh, seed: 2);
        WeightsFile.Load(model, Path.Combine(folder, "weights.dat"));
    }

    private static void Saved(string folder)
    {
        using var scope = NewDisposeScope();
        Checkpoint.Save(Path.Combine(folder, "latest.ckpt"), new JsonObject { ["epoch"] = 7 }, new Dictionary<string, Tensor> {
            ["a"] = arange(6, float32).view(2, 3),
            ["b"] = zeros(3, @bool),
            ["c"] = ones(5, float64),
        });
    }

    private static void ReadCheckpoint(string folder)
    {
        using var scope = NewDisposeScope();
        _ = Checkpoint.Load(Path.Combine(folder, "latest.ckpt"));
    }

    private static byte[] Signed(string path, byte[] content)
    {
        int length = content.Length - SHA256.HashSizeInBytes;
        return length < 0 || !path.EndsWith(".ckpt", StringComparison.Ordinal) ? content : [.. content[..length], .. SHA256.HashData(content.AsSpan(0, length))];
    }

    private static RunFolder Opened(string folder) => new(folder, new JsonObject {
        ["experiment"] = "fuzz",
        ["seed"] = 1,
        ["sizes"] = new JsonObject { ["Steps"] = 100, ["Rate"] = 0.25 },
    });

    private static void Run(string folder)
    {
        using var scope = NewDisposeScope();
        using RunFolder run = Opened(folder);
        run.Start(CPU);
        run.WriteMetric(new JsonObject { ["step"] = 1, ["loss"] = 0.5 });
        run.SaveCheckpoint(new JsonObject { ["step"] = 1 }, new Dictionary<string, Tensor> { ["w"] = ones(4, 2) });
        run.WriteMetric(new JsonObject { ["step"] = 2, ["loss"] = 0.25 });
    }

    private static void Resume(string folder)
    {
        using var scope = NewDisposeScope();
        using RunFolder run = Opened(folder);
        _ = run.Continue();
    }

    private static void StartAnew(string folder)
    {
        using RunFolder run = Opened(folder);
        run.Start(CPU);
    }
}
