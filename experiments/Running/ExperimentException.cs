using LsmrTorch.Datasets;

namespace LsmrTorch.Experiments.Running;

/// <summary>A failure that the user can mend; its message is the one sentence that is shown, on one line.</summary>
internal sealed class ExperimentException(string message, Exception? cause = null) : Exception(Quoted.Escaped(message), cause);
