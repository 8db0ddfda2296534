using LsmrTorch.Datasets;

namespace LsmrTorch.Experiments.Running;

/// <summary>
/// The right to write to a run's folder. The system holds it for the process and takes it back however the process ends,
/// so that none is left over; the file itself stays.
/// </summary>
internal sealed class RunLock : IDisposable
{
    private const int WouldBlockOnLinux = 11, WouldBlockOnMac = 35;
    private const int SharingViolationOnWindows = unchecked((int)0x80070020);

    private readonly FileStream _file;

    private RunLock(FileStream file) => _file = file;

    /// <summary>Takes it.</summary>
    /// <exception cref="ExperimentException">Another process, or another run of this one, holds it.</exception>
    public static RunLock Take(string folder)
    {
        try {
            return new RunLock(new FileStream(
                Path.Combine(folder, "run.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0));
        } catch (IOException error) when (error.HResult is WouldBlockOnLinux or WouldBlockOnMac or SharingViolationOnWindows) {
            throw new ExperimentException(
                $"Another process is running in {Quoted.Path(folder)}: wait for its end, or name another --out.", error);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
