namespace LsmrTorch.Experiments.Fuzz;

/// <summary>Something that reads files, with valid ones to damage.</summary>
/// <param name="Name">As tables and figures name it.</param>
/// <param name="Write">Writes one of its valid inputs, by number, into an empty folder.</param>
/// <param name="Read">Reads what is in the folder, all of it, and frees what it made.</param>
/// <param name="IsRefusal">Whether what it throws is what it is documented to throw.</param>
internal sealed record FuzzReader(string Name, Action<string, int> Write, Action<string> Read, Func<Exception, bool> IsRefusal)
{
    /// <summary>How many valid inputs there are.</summary>
    public int Inputs { get; init; } = 1;

    /// <summary>Makes a damaged file one that a checksum does not tell from a whole one; null where there is no checksum.</summary>
    public Func<string, byte[], byte[]>? Sign { get; init; }

    /// <summary>Which files are damaged; all unless it says otherwise.</summary>
    public Func<string, bool> IsDamaged { get; init; } = _ => true;
}
