namespace LsmrTorch.Experiments.Preserve;

/// <summary>What a run goes on from: finished fine-tunings, and the old network of the task and seed that it is at (in the checkpoint's tensors).</summary>
internal sealed class PreserveState
{
    /// <summary>Tasks and seeds that are done; the next is being worked on.</summary>
    public int Done { get; set; }

    /// <summary>Fine-tunings of it that are done; −1 while its old network is not trained.</summary>
    public int Cells { get; set; } = -1;

    public List<PreserveResult> Results { get; init; } = [];
}

/// <summary>
/// A network at its end. <see cref="Method"/> "before" is the old network itself; IsEqualTime marks as many steps as take about the time of ours. <see cref="Tuning"/> is the
/// mean of old and new accuracy on the images for tuning.
/// </summary>
internal sealed record PreserveResult(
    string Task, long Seed, string Method, double Weight, bool IsEqualTime, int Steps, double OldAccuracy, double NewAccuracy, double LogitChange,
    double Tuning, double SecondsPerStep, double Iterations);
