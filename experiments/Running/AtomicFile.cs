using System.Text;

namespace LsmrTorch.Experiments.Running;

/// <summary>Files that are either whole or not there, whatever moment a run is killed at.</summary>
internal static class AtomicFile
{
    /// <summary>Writes beside <paramref name="path"/>, flushes to the disk, and renames.</summary>
    public static void Write(string path, Action<Stream> write)
    {
        string temporary = path + ".part";
        try {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write)) {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        } catch (IOException) {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Writes a text in UTF-8.</summary>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
}
