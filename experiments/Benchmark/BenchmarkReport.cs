using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>The figures, the table and the notes of a finished run.</summary>
internal static class BenchmarkReport
{
    /// <summary>Puts a summary together and draws its plots.</summary>
    public static Summary Of(IReadOnlyList<CaseResult> results, IReadOnlyList<string> versions, IReadOnlyList<string> missing, RunFolder folder) => new() {
        Title = "benchmark: what does an LSMR iteration cost?",
        Question = "Does an iteration cost more than reading the matrix once, and how does it compare with libtorch's bare products, a plain "
            + "loop over tensor operators, and LSMR elsewhere? Refuted where a ratio to one read is well over 1, or one to another solver not well under 1.",
        Table = Table(results),
        Figures = Figures(results),
        Notes = [.. Notes(versions, missing)],
        Plots = BenchmarkPlots.Draw(results, folder),
    };

    /// <summary>Medians of every method, and medians of the ratios and differences within rounds.</summary>
    internal static Dictionary<string, double> Figures(IReadOnlyList<CaseResult> results)
    {
        var ratios = new Dictionary<string, double>();
        var times = new Dictionary<string, double>();
        foreach (CaseResult at in results) {
            AddOwn(at, ratios);
            foreach ((string method, Sample[] samples) in at.Methods) {
                times[$"{at.Name}_{method}_us"] = Statistics.Median(at.Times(method));
                if (samples[0].FixedMicroseconds is not null) {
                    times[$"{at.Name}_{method}_fixed_us"] = Statistics.Median(samples.Select(sample => sample.FixedMicroseconds!.Value));
                }
                if (method != "ours" && at.Of("ours") is not null && at.Name is not ("closure" or "closure_autograd" or "jacobian")) {
                    ratios[$"{at.Name}_over_{method}"] = Statistics.MedianRatio(at.Times("ours"), at.Times(method));
                }
            }
            if (at.Of("lstsq") is not null) {
                times[$"{at.Name}_iterations"] = at.Of("ours")![0].Iterations;
            }
        }
        return ratios.Concat(times).ToDictionary();
    }

    // What is not simply ours over another method.
    private static void AddOwn(CaseResult at, Dictionary<string, double> figures)
    {
        switch (at.Name) {
            case "copy":
                figures["copy_gb_per_s"] = Statistics.Median(at.Times("copy").Select(time => 2e-3 * at.Bytes / time)); // read and written
                break;
            case "closure" or "closure_autograd":
                figures[at.Name == "closure" ? "closure_overhead_us" : "closure_autograd_overhead_us"] =
                    Statistics.Median(at.Times("ours").Zip(at.Times("products"), (ours, products) => ours - products));
                break;
            case "jacobian":
                figures["jacobian_overhead_percent"] =
                    Statistics.Median(at.Times("ours").Zip(at.Times("products"), (ours, products) => 100 * ((ours / products) - 1)));
                break;
            case "rhs":
                foreach ((string method, _) in at.Methods.Where(own => own.Method.StartsWith("ours_", StringComparison.Ordinal) && own.Method != "ours_1")) {
                    string count = method["ours_".Length..];
                    figures[$"rhs_{count}_over_1"] = Statistics.MedianRatio(at.Times(method), at.Times("ours_1"))
                        / double.Parse(count, System.Globalization.CultureInfo.InvariantCulture);
                }
                break;
            default:
                break;
        }
    }

    private static SummaryTable Table(IReadOnlyList<CaseResult> results) => new(
        ["case", "MB", "method", "µs", "quartiles", "ours over it"],
        [.. from at in results from own in at.Methods select Row(at, own.Method)]);

    private static string[] Row(CaseResult at, string method)
    {
        double[] times = at.Times(method);
        bool isCompared = method != "ours" && at.Of("ours") is not null;
        return [
            at.Name, at.Bytes > 0 ? $"{at.Bytes / 1e6:G3}" : "", method, Show(Statistics.Median(times)),
            $"{Show(Statistics.Quantile(times, 0.25))} to {Show(Statistics.Quantile(times, 0.75))}",
            isCompared ? $"{Statistics.MedianRatio(at.Times("ours"), times):F3}" : "",
        ];
    }

    private static string Show(double microseconds) =>
        Math.Abs(microseconds) >= 1000 ? $"{microseconds:F0}" : Math.Abs(microseconds) >= 10 ? $"{microseconds:F1}" : $"{microseconds:F2}";

    private static IEnumerable<string> Notes(IReadOnlyList<string> versions, IReadOnlyList<string> missing)
    {
        yield return "Microseconds for an iteration (the slope between a short and a long solve), for one call of read, products and copy, for a whole "
            + "solve in the cases named _solution; the median over rounds in which all methods of a case take turns. 'ours over it' is the median of the ratios within rounds.";
        yield return $"{torch.get_num_threads()} threads for all methods{(versions.Count > 0 ? $"; beside {string.Join(", ", versions)}" : "")}.";
        foreach (string sentence in missing) {
            yield return $"{sentence} Its figures are left out.";
        }
    }
}
