namespace LsmrTorch.Experiments.Running;

/// <summary>What the command line says about a run, the same for every experiment that trains.</summary>
internal sealed record RunSettings
{
    /// <summary>The scale: smoke (a minute), small (20 minutes), paper (the published scale).</summary>
    public string Preset { get; init; } = "smoke";

    /// <summary>The folder of the real data, or null for generated data of the same format.</summary>
    public string? Data { get; init; }

    /// <summary>cpu or cuda.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Every random number of the run derives from it.</summary>
    public long Seed { get; init; }

    /// <summary>Threads that libtorch computes with; null leaves its own choice, the number of cores.</summary>
    public int? Threads { get; init; }

    /// <summary>The folder that the results go to.</summary>
    public required string Out { get; init; }

    /// <summary>Whether to go on from the checkpoint in <see cref="Out"/>.</summary>
    public bool Resume { get; init; }

    /// <summary>Whether to start afresh in a folder that holds an unfinished run, or one with other options.</summary>
    public bool Overwrite { get; init; }
}
