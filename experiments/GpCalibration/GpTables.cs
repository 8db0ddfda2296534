using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>The sets of a run: those of --data that are there, or generated ones.</summary>
internal static class GpTables
{
    /// <summary>Names, and how to read each when its turn comes, smaller files first as listed.</summary>
    /// <exception cref="ExperimentException">--data has none of the sets.</exception>
    public static IReadOnlyList<(string Name, Func<UciTable> Read)> Of(GpSizes sizes, RunSettings settings)
    {
        if (settings.Data is not { } data) {
            return [.. sizes.Generated.Select((set, i) => (set.Name, (Func<UciTable>)(() =>
                UciGenerator.Generate(set.Count, set.Inputs, set.Noise, Seeds.Derive(settings.Seed, "table", i)))))];
        }
        var found = new List<(string, Func<UciTable>)>();
        foreach (string name in sizes.Sets) {
            string? folder = new[] { Path.Combine(data, name), Path.Combine(data, "uci", name) }.FirstOrDefault(Directory.Exists);
            if (folder is not null) {
                found.Add((name, () => UciTable.Load(folder)));
            }
        }
        return found.Count > 0 ? found
            : throw new ExperimentException($"{Quoted.Path(data)} has none of the sets {string.Join(", ", sizes.Sets)}, neither itself nor in a folder uci: each is a folder with data.csv.gz and test_mask.csv.gz.");
    }
}
