using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using TorchSharp;

namespace LsmrTorch.Experiments.Running;

/// <summary>
/// The folder of a run: config.json, metrics.jsonl, summary.md, summary.json, plots/, checkpoint/. It belongs to one run
/// at a time: from <see cref="Start"/> or <see cref="Continue"/> to its disposal no other process writes to it.
/// </summary>
internal sealed class RunFolder : IDisposable
{
    // Read by people too: Greek letters and quotes stay as they are.
    private static readonly JsonSerializerOptions s_indented = new() {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly JsonObject _options;
    private JsonObject? _record;
    private RunLock? _lock;
    private FileStream? _metrics;

    /// <summary>Opens a folder for a run with these options; nothing is written before it is taken.</summary>
    public RunFolder(string path, JsonObject options)
    {
        Root = path;
        _options = JsonNode.Parse(options.ToJsonString())!.AsObject(); // numbers as a file has them
    }

    /// <summary>The folder itself.</summary>
    public string Root { get; }

    /// <summary>Whether a run replaces what an earlier one of the same experiment left, whatever its options were.</summary>
    public bool ReplacesItsOwn { get; init; }

    /// <summary>The one checkpoint, the newest.</summary>
    public string CheckpointPath => Path.Combine(Root, "checkpoint", "latest.ckpt");

    /// <summary>The finished networks, in the format of <see cref="Checkpoint"/>.</summary>
    public string NetworksPath => Path.Combine(Root, "checkpoint", "networks.ckpt");

    /// <summary>A folder for files that end with the run; what a killed run left in it is removed by the next.</summary>
    public string TemporaryPath => Path.Combine(Root, "temporary");

    private string ConfigPath => Path.Combine(Root, "config.json");

    private string SummaryPath => Path.Combine(Root, "summary.json");

    private string PlotsPath => Path.Combine(Root, "plots");

    /// <summary>
    /// Writes config.json and empties what an earlier run left. A run that has not finished, one with a checkpoint that
    /// had other options, and that of another experiment are not emptied unasked: <paramref name="overwrite"/> asks for
    /// it, and <paramref name="resume"/> says that a run with the same options was to go on, but has no checkpoint.
    /// </summary>
    /// <exception cref="ExperimentException">The folder holds such a run, or another process writes to it.</exception>
    public void Start(torch.Device device, bool overwrite = false, bool resume = false)
    {
        Take();
        if (!overwrite) {
            RefuseToEmpty(resume);
        }
        foreach (string folder in new[] { Path.GetDirectoryName(CheckpointPath)!, PlotsPath }) {
            Directory.CreateDirectory(folder);
        }
        foreach (string file in new[] { CheckpointPath, NetworksPath, Path.Combine(Root, "summary.md"), SummaryPath }) {
            File.Delete(file);
        }
        foreach (string plot in Directory.GetFiles(PlotsPath, "*.png")) {
            File.Delete(plot);
        }
        _record = new JsonObject { ["options"] = _options.DeepClone(), ["provenance"] = Provenance.Now(device) };
        _record = JsonNode.Parse(_record.ToJsonString())!.AsObject();
        AtomicFile.WriteText(ConfigPath, _record.ToJsonString(s_indented) + "\n");
        OpenMetrics(0);
    }

    /// <summary>Replaces the checkpoint.</summary>
    public void SaveCheckpoint(JsonNode state, IReadOnlyDictionary<string, torch.Tensor> tensors)
    {
        var whole = new JsonObject {
            ["config"] = _record?.DeepClone(),
            ["metrics_length"] = _metrics?.Length ?? 0,
            ["state"] = state.DeepClone(),
        };
        Checkpoint.Save(CheckpointPath, whole, tensors);
    }

    /// <summary>
    /// Goes on from the checkpoint of <see cref="SaveCheckpoint"/>, and metrics written after it are cut off; null where
    /// there is no checkpoint. The tensors belong to the caller's scope.
    /// </summary>
    /// <exception cref="ExperimentException">
    /// The checkpoint is damaged or of a run with other options, config.json is not that of its run, or another process
    /// writes to the folder.
    /// </exception>
    public (JsonNode State, Dictionary<string, torch.Tensor> Tensors)? Continue()
    {
        Take();
        if (!File.Exists(CheckpointPath)) {
            return null;
        }
        (JsonNode whole, Dictionary<string, torch.Tensor> tensors) = Checkpoint.Load(CheckpointPath);
        if (RunRecord.Checked((whole as JsonObject)?["config"]) is not JsonObject record
            || whole["metrics_length"] is not JsonValue length || !length.TryGetValue(out long metrics) || metrics < 0
            || whole["state"] is not JsonNode state) {
            throw new ExperimentException($"{Quoted.Path(CheckpointPath)} is not the checkpoint of a run; --overwrite starts afresh.");
        }
        if (RunRecord.Difference(record["options"], _options) is var (name, before, now)) {
            throw new ExperimentException($"The run in {Quoted.Path(Root)} was started with {name} = {before}, "
                + $"not {now}: give the same options, or another --out.");
        }
        if (File.Exists(ConfigPath)) {
            if (RunRecord.Difference(RunRecord.Read(ConfigPath), record) is var (place, written, kept)) {
                throw new ExperimentException($"{Quoted.Path(ConfigPath)} is not that of the checkpoint beside it: "
                    + $"it has {place} = {written}, and the checkpoint {kept}.");
            }
        } else {
            AtomicFile.WriteText(ConfigPath, record.ToJsonString(s_indented) + "\n");
        }
        _record = record.DeepClone().AsObject();
        Directory.CreateDirectory(PlotsPath);
        OpenMetrics(metrics);
        return (state, tensors);
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
    public (string File, string Relative) PlotPath(string name) => (Path.Combine(PlotsPath, name), "plots/" + name);

    /// <summary>Writes summary.md and summary.json from the same numbers.</summary>
    public void WriteSummary(Summary summary, torch.Device device)
    {
        JsonObject provenance = _record?["provenance"]!.DeepClone().AsObject() ?? Provenance.Now(device);
        foreach (string name in new[] { "preset", "seed", "data" }) {
            if (_options[name] is JsonNode value) {
                provenance[name] = value.DeepClone();
            }
        }
        AtomicFile.WriteText(Path.Combine(Root, "summary.md"), summary.ToMarkdown(provenance));
        AtomicFile.WriteText(SummaryPath, summary.ToJson(provenance).ToJsonString(s_indented) + "\n");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _metrics?.Dispose();
        if (_lock is not null) {
            RemoveTemporary();
            _lock.Dispose();
            _lock = null;
        }
    }

    private void Take()
    {
        if (_lock is not null) {
            return;
        }
        Directory.CreateDirectory(Root);
        _lock = RunLock.Take(Root);
        RemoveTemporary();
        foreach (string folder in new[] { Root, Path.GetDirectoryName(CheckpointPath)!, PlotsPath }) {
            AtomicFile.RemoveAbandonedIn(folder);
        }
    }

    private void RemoveTemporary()
    {
        if (Directory.Exists(TemporaryPath)) {
            Directory.Delete(TemporaryPath, recursive: true);
        }
    }

    private void RefuseToEmpty(bool resume)
    {
        bool hasConfig = File.Exists(ConfigPath), isFinished = File.Exists(SummaryPath), hasCheckpoint = File.Exists(CheckpointPath);
        if (!hasConfig && !isFinished && !hasCheckpoint) {
            return;
        }
        JsonNode? before = hasConfig ? RunRecord.Read(ConfigPath)["options"] : null;
        // What takes minutes keeps no checkpoint, and its figures make room for the next ones of their kind.
        bool isReplaced = ReplacesItsOwn || (isFinished && !hasCheckpoint && !resume);
        if (isReplaced && JsonNode.DeepEquals(before?["experiment"], _options["experiment"])) {
            return;
        }
        if (!isFinished && !resume) {
            throw new ExperimentException($"{Quoted.Path(Root)} holds an unfinished run: --resume goes on with it, --overwrite "
                + "starts afresh, and another --out keeps both.");
        }
        if (before is not null && RunRecord.Difference(before, _options) is var (name, first, second)) {
            throw new ExperimentException($"{Quoted.Path(Root)} holds a run with {name} = {first}, not {second}: --overwrite "
                + "replaces it, and another --out keeps both.");
        }
    }

    private void OpenMetrics(long length)
    {
        _metrics = new FileStream(Path.Combine(Root, "metrics.jsonl"), FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
        _metrics.SetLength(Math.Min(length, _metrics.Length));
        _metrics.Seek(0, SeekOrigin.End);
    }
}
