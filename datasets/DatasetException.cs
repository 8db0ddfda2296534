namespace LsmrTorch.Datasets;

/// <summary>
/// A data set that cannot be read or written. The message is one sentence for the user: the file, the rule, and the
/// value that broke it.
/// </summary>
public sealed class DatasetException : Exception
{
    /// <summary>An exception whose message is <paramref name="sentence"/>, on one line.</summary>
    public DatasetException(string sentence) : base(Quoted.Escaped(sentence))
    {
    }

    /// <summary>An exception whose message is <paramref name="sentence"/>, on one line, and the system's error behind it.</summary>
    public DatasetException(string sentence, Exception cause) : base(Quoted.Escaped(sentence), cause)
    {
    }

    /// <summary>True for what the system throws when a file cannot be opened, read or written.</summary>
    internal static bool IsFileError(Exception error)
        => error is IOException or UnauthorizedAccessException or InvalidDataException or NotSupportedException
            or ArgumentException { ParamName: "path" };

    internal static DatasetException CannotRead(string path, Exception cause)
        => cause is FileNotFoundException or DirectoryNotFoundException
            ? new DatasetException($"{Quoted.Path(path)} does not exist.", cause)
            : new DatasetException($"{Quoted.Path(path)} cannot be read: {Reason(path, cause)}", cause);

    internal static DatasetException CannotWrite(string path, Exception cause)
        => cause is DirectoryNotFoundException
            ? new DatasetException($"{Quoted.Path(path)} cannot be written: its folder does not exist.", cause)
            : new DatasetException($"{Quoted.Path(path)} cannot be written: {Reason(path, cause)}", cause);

    // The system repeats the path, however long it is.
    private static string Reason(string path, Exception cause) => cause is NotSupportedException
        ? "it is no regular file"
        : path.Length == 0 ? cause.Message : cause.Message.Replace(path, Quoted.Path(path), StringComparison.Ordinal);
}
