using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using TorchSharp;

namespace LsmrTorch.Experiments.Running;

/// <summary>What a number has to be read with: versions, commit, hardware, time.</summary>
internal static class Provenance
{
    /// <summary>Describes this process now; the commit is null where the build found no git.</summary>
    public static JsonObject Now(torch.Device device)
    {
        string[] version = VersionOf(typeof(Provenance).Assembly).Split('+', 2);
        return new JsonObject {
            ["started"] = DateTimeOffset.UtcNow.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) + " UTC",
            ["version"] = version[0],
            ["commit"] = version.Length > 1 ? version[1] : null,
            ["torchsharp"] = VersionOf(typeof(torch).Assembly).Split('+')[0],
            ["libtorch"] = torch.__version__,
            ["dotnet"] = Environment.Version.ToString(),
            ["system"] = RuntimeInformation.OSDescription,
            ["processor"] = Processor(),
            ["cores"] = Environment.ProcessorCount,
            ["threads"] = torch.get_num_threads(),
            ["device"] = device.ToString(),
        };
    }

    private static string VersionOf(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    private static string Processor()
    {
        const string linux = "/proc/cpuinfo";
        if (File.Exists(linux)) {
            string? line = File.ReadLines(linux).FirstOrDefault(text => text.StartsWith("model name", StringComparison.Ordinal));
            if (line is not null) {
                return line[(line.IndexOf(':') + 1)..].Trim();
            }
        }
        return Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER")
            ?? RuntimeInformation.ProcessArchitecture.ToString();
    }
}
