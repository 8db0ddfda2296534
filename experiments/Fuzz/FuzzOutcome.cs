namespace LsmrTorch.Experiments.Fuzz;

/// <summary>A line to the process that reads damaged files.</summary>
/// <param name="Seed">The run's seed.</param>
/// <param name="Case">The number of the case, which with the seed decides everything.</param>
internal sealed record FuzzRequest(long Seed, long Case);

/// <summary>What became of a case: what the reader threw if it did, and what it took.</summary>
/// <param name="IsAccepted">Whether it read the files without complaint.</param>
/// <param name="Failure">What it should not have done; null where it read the files, or refused them as it is documented to.</param>
/// <param name="Bytes">Memory that it allocated.</param>
/// <param name="Seconds">Processor time that it took.</param>
internal sealed record FuzzOutcome(bool IsAccepted, string? Failure, long Bytes, double Seconds);
