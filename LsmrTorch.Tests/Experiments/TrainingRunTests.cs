using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

/// <summary>Tests of an experiment that trains: a run that is looked at by each, and others that are stopped and go on.</summary>
public abstract class TrainingRunTests : ExperimentRunTests
{
    /// <summary>The seed of every run.</summary>
    protected virtual long Seed => 11;

    /// <summary>The folder of data; null for generated data.</summary>
    protected virtual string? Data => null;

    /// <summary>Runs the experiment at the size of the tests.</summary>
    internal abstract int Execute(RunSettings settings, RunConsole console);

    /// <inheritdoc/>
    protected override (int Code, string Output) RunWhole() => Run("whole");

    /// <summary>What the command line would say.</summary>
    internal RunSettings Settings(string name, bool resume = false) => new() { Out = Folder[name], Data = Data, Seed = Seed, Threads = 1, Resume = resume };

    /// <summary>Runs into a folder, from the start or from its checkpoint.</summary>
    protected (int Code, string Output) Run(string name, bool resume = false)
    {
        var output = new StringWriter();
        int code = Execute(Settings(name, resume), new RunConsole(output, TextWriter.Null, false, CancellationToken.None));
        return (code, output.ToString());
    }

    /// <summary>
    /// Runs until a checkpoint, named by what the experiment counts, leaves what a killed process may, and resumes. The name of the run and what it printed come
    /// back. After the last checkpoint (<paramref name="isLast"/>) there is nothing to stop.
    /// </summary>
    protected (string Name, string Output) StopAndResume(int after, bool isLast = false)
    {
        string name = $"stopped-{after}";
        using var stop = new CancellationTokenSource();
        var console = new RunConsole(TextWriter.Null, TextWriter.Null, false, stop.Token) {
            CheckpointWritten = done => {
                if (done == after) {
                    stop.Cancel();
                }
            },
        };
        if (isLast) {
            Assert.That(Execute(Settings(name), console), Is.Zero);
        } else {
            Assert.That(() => Execute(Settings(name), console), Throws.InstanceOf<OperationCanceledException>());
            File.AppendAllText(Folder[name + "/metrics.jsonl"], "{\"kind\":\"half a li");
        }
        var (output, error) = (new StringWriter(), new StringWriter());
        Assert.That(Execute(Settings(name, resume: true), new RunConsole(output, error, false, CancellationToken.None)), Is.Zero);
        Assert.That(error.ToString(), Is.Empty);
        return (name, output.ToString());
    }

    /// <summary>Fails unless a run's figures are those of the whole one, but for seconds and whatever else depends on the clock.</summary>
    protected void HasFiguresOfTheWhole(string name, params string[] timed)
    {
        JsonObject found = Figures(name);
        foreach ((string figure, JsonNode? value) in Figures("whole").Where(figure => !timed.Append("second").Any(figure.Key.Contains))) {
            Assert.That(found[figure]!.GetValue<double>(), Is.EqualTo(value!.GetValue<double>()), figure);
        }
    }

    /// <summary>Fails unless a run's metrics are those of the whole one, line by line.</summary>
    protected void HasMetricsOfTheWhole(string name) =>
        Assert.That(File.ReadAllText(Folder[name + "/metrics.jsonl"]), Is.EqualTo(File.ReadAllText(Folder["whole/metrics.jsonl"])));

    /// <summary>The figures of a run's summary.</summary>
    protected JsonObject Figures(string run) => (JsonObject)Json(run + "/summary.json")["figures"]!;

    /// <summary>The lines of a run's metrics, all or those of a kind.</summary>
    protected JsonNode[] Lines(string run, string? kind = null) => [.. File.ReadAllLines(Folder[run + "/metrics.jsonl"])
        .Select(line => JsonNode.Parse(line)!).Where(line => kind is null || line["kind"]!.GetValue<string>() == kind)];

    /// <summary>A file of JSON.</summary>
    protected JsonNode Json(string path) => JsonNode.Parse(File.ReadAllText(Folder[path]))!;
}
