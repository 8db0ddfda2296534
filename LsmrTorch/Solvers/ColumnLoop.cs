using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Iterates one right-hand side, or the columns of several, each until it stops by itself.</summary>
internal static class ColumnLoop
{
    /// <summary>Asks every column that is still iterated whether it stops, goes on with the others, and ends with the last.</summary>
    /// <param name="columns">How many there are.</param>
    /// <param name="stop">Why the column at a place among those still iterated stops, if it does.</param>
    /// <param name="end">Takes what was found: the place, the number of the column, and why.</param>
    /// <param name="keep">Goes on with the columns at these places alone.</param>
    /// <param name="step">The next iteration.</param>
    /// <param name="cancellation">Looked at before each.</param>
    public static void Run<TStop>(int columns, Func<int, TStop?> stop, Action<int, long, TStop> end, Action<long[]> keep, Action step, CancellationToken cancellation)
        where TStop : struct
    {
        long[] active = [.. Enumerable.Range(0, columns)];
        for (; ; ) {
            List<long>? stopped = null;
            for (int j = 0; j < active.Length; j++) {
                if (stop(j) is TStop reason) {
                    end(j, active[j], reason);
                    (stopped ??= []).Add(j);
                }
            }
            if (stopped is not null) {
                long[] kept = [.. Enumerable.Range(0, active.Length).Select(j => (long)j).Except(stopped)];
                if (kept.Length == 0)
                    return;
                keep(kept);
                active = GolubKahan.Columns(active, kept);
            }
            cancellation.ThrowIfCancellationRequested();
            step();
        }
    }

    /// <summary>
    /// Puts a finished column where it belongs, out of the iteration's way; filled with NaN where a product was, so that nothing passes
    /// for a number.
    /// </summary>
    /// <param name="x">The columns that are still iterated.</param>
    /// <param name="place">Where among them.</param>
    /// <param name="number">Where it belongs.</param>
    /// <param name="isNumber">False where it is to be NaN.</param>
    /// <param name="all">All columns, or null for a single right-hand side, which stays where it is.</param>
    public static void Put(Tensor x, int place, long number, bool isNumber, Tensor? all)
    {
        using var scope = NewDisposeScope();
        Tensor found = all is null ? x : all.select(-1, number);
        if (!isNumber)
            Vectors.Fill(found, double.NaN);
        else if (all is not null)
            found.copy_(x.select(-1, place));
    }
}
