namespace LsmrTorch.Experiments.Running;

/// <summary>A failure that the user can mend; its message is the one sentence that is shown.</summary>
internal sealed class ExperimentException(string message, Exception? cause = null) : Exception(message, cause);
