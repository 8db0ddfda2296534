namespace LsmrTorch.Tests;

/// <summary>An empty folder for one test, removed with all that is in it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string FullName { get; } = Directory.CreateTempSubdirectory("lsmrtorch-").FullName;

    /// <summary>The path of a file in the folder.</summary>
    public string this[string name] => Path.Combine(FullName, name);

    /// <summary>The names of the files there, sorted.</summary>
    public string[] Files
        => [.. Directory.GetFiles(FullName).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    /// <summary>Writes a file of this text there; its path comes back.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllText(this[name], text);
        return this[name];
    }

    public void Dispose() => Directory.Delete(FullName, recursive: true);
}
