namespace LsmrTorch.Experiments.Running;

/// <summary>What the process returns.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>An expected failure, told in one sentence.</summary>
    public const int Failure = 1;

    /// <summary>The command line is wrong.</summary>
    public const int Misuse = 2;

    /// <summary>A solve that ended without converging.</summary>
    public const int NotConverged = 3;

    /// <summary>Ctrl-C.</summary>
    public const int Stopped = 130;
}
