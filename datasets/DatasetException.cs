namespace LsmrTorch.Datasets;

/// <summary>
/// A data set that cannot be read or written. The message is one sentence for the user: the file, the rule, and the
/// value that broke it.
/// </summary>
public sealed class DatasetException : Exception
{
    /// <summary>An exception whose message is <paramref name="sentence"/>.</summary>
    public DatasetException(string sentence) : base(sentence)
    {
    }

    /// <summary>An exception whose message is <paramref name="sentence"/>, and the system's error behind it.</summary>
    public DatasetException(string sentence, Exception cause) : base(sentence, cause)
    {
    }

    /// <summary>True for what the system throws when a file cannot be opened, read or written.</summary>
    internal static bool IsFileError(Exception error)
        => error is IOException or UnauthorizedAccessException or InvalidDataException or NotSupportedException;

    internal static DatasetException CannotRead(string path, Exception cause)
        => cause is FileNotFoundException or DirectoryNotFoundException
            ? new DatasetException($"{path} does not exist.", cause)
            : new DatasetException($"{path} cannot be read: {cause.Message}", cause);

    internal static DatasetException CannotWrite(string path, Exception cause)
        => cause is DirectoryNotFoundException
            ? new DatasetException($"{path} cannot be written: its folder does not exist.", cause)
            : new DatasetException($"{path} cannot be written: {cause.Message}", cause);
}
