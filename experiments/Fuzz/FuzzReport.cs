using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Fuzz;

/// <summary>A case that failed.</summary>
internal sealed record FuzzFailure(string Reader, long Seed, long Case, string What);

/// <summary>What became of a run's cases, reader by reader.</summary>
internal sealed class FuzzReport(IReadOnlyList<FuzzReader> readers, long seed)
{
    private const int MostNotes = 20;
    private readonly Dictionary<string, List<FuzzOutcome>> _outcomes = readers.ToDictionary(reader => reader.Name, _ => new List<FuzzOutcome>());
    private readonly List<FuzzFailure> _failures = [];

    /// <summary>The cases that failed.</summary>
    public IReadOnlyList<FuzzFailure> Failures => _failures;

    /// <summary>Adds a case.</summary>
    public void Add(FuzzReader reader, long number, FuzzOutcome outcome)
    {
        _outcomes[reader.Name].Add(outcome);
        if (outcome.Failure is string what) {
            _failures.Add(new FuzzFailure(reader.Name, seed, number, what));
        }
    }

    /// <summary>The table, the figures, and the verdict.</summary>
    public Summary Summary()
    {
        FuzzOutcome[] all = [.. _outcomes.Values.SelectMany(outcomes => outcomes)];
        var figures = new Dictionary<string, double> {
            ["cases"] = all.Length,
            ["accepted"] = all.Count(IsAccepted),
            ["refused"] = all.Count(IsRefused),
            ["failures"] = _failures.Count,
            ["most_megabytes"] = all.Select(outcome => outcome.Bytes / 1e6).DefaultIfEmpty(0).Max(),
            ["most_seconds"] = all.Select(outcome => outcome.Seconds).DefaultIfEmpty(0).Max(),
        };
        foreach ((string reader, List<FuzzOutcome> outcomes) in _outcomes) {
            string name = reader.Replace('-', '_');
            figures[$"{name}_cases"] = outcomes.Count;
            figures[$"{name}_failures"] = outcomes.Count(outcome => outcome.Failure is not null);
        }
        return new Summary {
            Title = "fuzz: damaged files before every reader",
            Question = "Does every reader refuse what it cannot read by the exception that it is documented to throw, with less than a "
                + "gigabyte and in less than ten seconds? Refuted by any case that ends otherwise.",
            Table = new SummaryTable(["reader", "cases", "accepted", "refused", "failures", "most MB", "most seconds"], [.. _outcomes.Select(Row)]),
            Figures = figures,
            Failure = _failures.Count == 0 ? null
                : $"{_failures.Count} of {all.Length} cases failed; the first is repeated by: fuzz --seed {seed} --case {_failures[0].Case}",
            Notes = [.. _failures.Take(MostNotes).Select(Note)],
        };
    }

    /// <summary>A failed case in one line.</summary>
    public static string Note(FuzzFailure failure) =>
        $"{failure.Reader}, seed {failure.Seed}, case {failure.Case}: {Datasets.Quoted.Escaped(failure.What)}";

    private static string[] Row(KeyValuePair<string, List<FuzzOutcome>> reader) => [
        reader.Key, $"{reader.Value.Count}", $"{reader.Value.Count(IsAccepted)}", $"{reader.Value.Count(IsRefused)}",
        $"{reader.Value.Count(outcome => outcome.Failure is not null)}",
        $"{reader.Value.Select(outcome => outcome.Bytes / 1e6).DefaultIfEmpty(0).Max():F0}",
        $"{reader.Value.Select(outcome => outcome.Seconds).DefaultIfEmpty(0).Max():F2}",
    ];

    private static bool IsAccepted(FuzzOutcome outcome) => outcome is { Failure: null, IsAccepted: true };

    private static bool IsRefused(FuzzOutcome outcome) => outcome is { Failure: null, IsAccepted: false };
}
