using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace LsmrTorch.Datasets;

/// <summary>Writes a file whole or not at all: into a temporary one beside it, which then takes its name.</summary>
internal static class AtomicFile
{
    private static readonly string[] s_systemFolders = ["/dev/", "/proc/", "/sys/"];

    /// <summary>
    /// Replaces the file at <paramref name="path"/> by what <paramref name="write"/> writes. Whatever goes wrong, an
    /// older file there stays as it was.
    /// </summary>
    /// <exception cref="DatasetException">
    /// The folder is missing or cannot be written, the disk is full, or the path names a device.
    /// </exception>
    public static void Write(string path, Action<Stream> write)
    {
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        if (IsOfTheSystem(path)) {
            throw new DatasetException($"{Quoted.Path(path)} is no file that can be replaced: it belongs to the system.");
        }
        RemoveAbandoned(path);
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

    /// <summary>Removes all temporary files of killed writers in a folder that no other process writes to.</summary>
    public static void RemoveAbandonedIn(string folder)
    {
        if (Directory.Exists(folder)) {
            foreach (string file in Directory.GetFiles(folder, "*.tmp").Where(file => WriterOf(file) is not null)) {
                Remove(file);
            }
        }
    }

    // Those of the same file whose process has ended.
    private static void RemoveAbandoned(string path)
    {
        try {
            string folder = Path.GetDirectoryName(Path.GetFullPath(path))!, name = Path.GetFileName(path);
            foreach (string file in Directory.EnumerateFiles(folder, "*.tmp")) {
                if (WriterOf(file) is int process && Path.GetFileName(file) == $"{name}.{process}.tmp" && !IsRunning(process)) {
                    Remove(file);
                }
            }
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            // Writing will say what is wrong with the folder.
        }
    }

    // A file that takes the name of a device takes its place, for every process of the machine.
    private static bool IsOfTheSystem(string path) => !OperatingSystem.IsWindows() && path.Length > 0
        && s_systemFolders.Any(folder => Path.GetFullPath(path).StartsWith(folder, StringComparison.Ordinal))
        && !Path.GetFullPath(path).StartsWith("/dev/shm/", StringComparison.Ordinal);

    private static int? WriterOf(string temporary)
    {
        string[] parts = Path.GetFileName(temporary).Split('.');
        return parts.Length >= 3 && int.TryParse(parts[^2], NumberStyles.None, CultureInfo.InvariantCulture, out int process)
            ? process : null;
    }

    private static bool IsRunning(int process)
    {
        try {
            using var running = Process.GetProcessById(process);
            return !running.HasExited;
        } catch (ArgumentException) {
            return false;
        }
    }

    private static void Remove(string temporary)
    {
        try {
            File.Delete(temporary);
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            // The error that matters is the one that kept the file from being written.
        }
    }
}
