using System.Text;

namespace LsmrTorch.Datasets;

/// <summary>Writes a file whole or not at all: into a temporary one beside it, which then takes its name.</summary>
internal static class AtomicFile
{
    /// <summary>
    /// Replaces the file at <paramref name="path"/> by what <paramref name="write"/> writes. Whatever goes wrong, an
    /// older file there stays as it was.
    /// </summary>
    /// <exception cref="DatasetException">The folder is missing or cannot be written, or the disk is full.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        try {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None)) {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotWrite(path, error);
        } finally {
            Remove(temporary);
        }
    }

    /// <summary>The same for a text, in UTF-8.</summary>
    /// <exception cref="DatasetException">The folder is missing or cannot be written, or the disk is full.</exception>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    private static void Remove(string temporary)
    {
        try {
            File.Delete(temporary);
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            // The error that matters is the one that kept the file from being written.
        }
    }
}
