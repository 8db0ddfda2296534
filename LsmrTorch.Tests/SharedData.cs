using NUnit.Framework;

namespace LsmrTorch.Tests;

/// <summary>
/// The real data that may lie beside the project, in the folder that LSMRTORCH_SHARED_DATA names or else in a
/// shared/data beside any folder above the tests. A test passes without it: it says what it skips.
/// </summary>
internal static class SharedData
{
    /// <summary>The full path of a file or folder of the shared data, or null where it is absent.</summary>
    public static string? Find(string relative)
        => Roots().Select(root => Path.Combine(root, relative)).FirstOrDefault(Path.Exists);

    /// <summary>The same, but a test that asks for what is absent is ignored, with the reason.</summary>
    public static string Require(string relative)
    {
        string? path = Find(relative);
        if (path is null) {
            Assert.Ignore($"shared/data/{relative} is not beside the project, so this test of real data is skipped.");
        }
        return path!;
    }

    private static IEnumerable<string> Roots()
    {
        if (Environment.GetEnvironmentVariable("LSMRTORCH_SHARED_DATA") is { Length: > 0 } named) {
            yield return named;
            yield break;
        }
        string start = TestContext.CurrentContext.TestDirectory;
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent) {
            yield return Path.Combine(folder.FullName, "shared", "data");
        }
    }
}
