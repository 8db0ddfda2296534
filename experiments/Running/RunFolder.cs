using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using TorchSharp;

namespace LsmrTorch.Experiments.Running;

/// <summary>The folder of a run: config.json, metrics.jsonl, summary.md, summary.json, plots/, checkpoint/.</summary>
internal sealed class RunFolder : IDisposable
{
    // Read by people too: Greek letters and quotes stay as they are.
    private static readonly JsonSerializerOptions s_indented = new() {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly JsonObject _options;
    private FileStream? _metrics;

    /// <summary>Opens a folder for a run with these options; nothing is written before <see cref="Start"/>.</summary>
    public RunFolder(string path, JsonObject options)
    {
        Root = path;
        _options = options;
    }

    /// <summary>The folder itself.</summary>
    public string Root { get; }

    /// <summary>The one checkpoint, the newest.</summary>
    public string CheckpointPath => Path.Combine(Root, "checkpoint", "latest.ckpt");

    /// <summary>The finished networks, in the format of <see cref="Checkpoint"/>.</summary>
    public string NetworksPath => Path.Combine(Root, "checkpoint", "networks.ckpt");

    private string ConfigPath => Path.Combine(Root, "config.json");

    /// <summary>Writes config.json and empties what an earlier run of the same name left.</summary>
    public void Start(torch.Device device)
    {
        foreach (string folder in new[] { Root, Path.Combine(Root, "checkpoint"), Path.Combine(Root, "plots") }) {
            Directory.CreateDirectory(folder);
        }
        foreach (string file in new[] { CheckpointPath, Path.Combine(Root, "summary.md"), Path.Combine(Root, "summary.json") }) {
            File.Delete(file);
        }
        var config = new JsonObject { ["options"] = _options.DeepClone(), ["provenance"] = Provenance.Now(device) };
        AtomicFile.WriteText(ConfigPath, config.ToJsonString(s_indented) + "\n");
        OpenMetrics(0);
    }

    /// <summary>Replaces the checkpoint.</summary>
    public void SaveCheckpoint(JsonNode state, IReadOnlyDictionary<string, torch.Tensor> tensors)
    {
        var whole = new JsonObject { ["metrics_length"] = _metrics?.Length ?? 0, ["state"] = state.DeepClone() };
        Checkpoint.Save(CheckpointPath, whole, tensors);
    }

    /// <summary>Goes on from the checkpoint of <see cref="SaveCheckpoint"/>; metrics written after it are cut off.</summary>
    public (JsonNode State, Dictionary<string, torch.Tensor> Tensors) Continue()
    {
        (JsonNode whole, Dictionary<string, torch.Tensor> tensors) = Checkpoint.Load(CheckpointPath);
        Directory.CreateDirectory(Path.Combine(Root, "plots"));
        OpenMetrics(whole["metrics_length"]!.GetValue<long>());
        return (whole["state"]!, tensors);
    }

    /// <summary>Whether there is a checkpoint to go on from.</summary>
    /// <exception cref="ExperimentException">There is one, but of a run with other options.</exception>
    public bool CanResume()
    {
        if (!File.Exists(CheckpointPath)) {
            return false;
        }
        foreach ((string name, JsonNode? before) in StartedWith()) {
            JsonNode? now = _options[name];
            if (!JsonNode.DeepEquals(before, now)) {
                throw new ExperimentException($"The run in {Root} was started with {name} = {Show(before)}, "
                    + $"not {Show(now)}: give the same options, or another --out.");
            }
        }
        return true;
    }

    /// <summary>Appends one JSON object as one line, and hands it to the system at once.</summary>
    public void WriteMetric(JsonObject metric)
    {
        if (_metrics is null) {
            throw new InvalidOperationException("The run has not been started.");
        }
        _metrics.Write(Encoding.UTF8.GetBytes(metric.ToJsonString() + "\n"));
        _metrics.Flush();
    }

    /// <summary>The same for a record: its kind, then its properties, named in snake_case.</summary>
    public void WriteMetric<T>(string kind, T record)
    {
        var metric = new JsonObject { ["kind"] = kind };
        foreach ((string name, JsonNode? value) in JsonSerializer.SerializeToNode(record)!.AsObject()) {
            metric[JsonNamingPolicy.SnakeCaseLower.ConvertName(name)] = value?.DeepClone();
        }
        WriteMetric(metric);
    }

    /// <summary>Where a plot of this name goes, and the path that the summary names it by.</summary>
    public (string File, string Relative) PlotPath(string name) => (Path.Combine(Root, "plots", name), "plots/" + name);

    /// <summary>Writes summary.md and summary.json from the same numbers.</summary>
    public void WriteSummary(Summary summary, torch.Device device)
    {
        JsonObject provenance = Provenance.Now(device);
        if (File.Exists(ConfigPath) && Parse(ConfigPath)["provenance"] is JsonObject started) {
            provenance = started;
        }
        foreach (string name in new[] { "preset", "seed", "data" }) {
            if (_options[name] is JsonNode value) {
                provenance[name] = value.DeepClone();
            }
        }
        AtomicFile.WriteText(Path.Combine(Root, "summary.md"), summary.ToMarkdown(provenance));
        AtomicFile.WriteText(Path.Combine(Root, "summary.json"), summary.ToJson(provenance).ToJsonString(s_indented) + "\n");
    }

    /// <inheritdoc/>
    public void Dispose() => _metrics?.Dispose();

    private JsonObject StartedWith()
    {
        if (File.Exists(ConfigPath) && Parse(ConfigPath)["options"] is JsonObject options) {
            return options;
        }
        throw new ExperimentException($"{ConfigPath} is not the config.json of a run; delete {CheckpointPath} to start afresh.");
    }

    private static JsonNode Parse(string path)
    {
        try {
            return JsonNode.Parse(File.ReadAllText(path)) ?? new JsonObject();
        } catch (JsonException error) {
            throw new ExperimentException($"{path} is not JSON: {error.Message}", error);
        }
    }

    private static string Show(JsonNode? value) => value?.ToJsonString() ?? "nothing";

    private void OpenMetrics(long length)
    {
        _metrics = new FileStream(Path.Combine(Root, "metrics.jsonl"), FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
        _metrics.SetLength(Math.Min(length, _metrics.Length));
        _metrics.Seek(0, SeekOrigin.End);
    }
}
