using System.Diagnostics;

namespace LsmrTorch;

/// <summary>
/// Runs the shares of one piece of work on the calling thread and on those of the pool, without allocating. A share is never
/// waited for that nobody has begun: where the pool is busy, or the other cores are, the caller does them all.
/// </summary>
/// <remarks>
/// A helper that has nothing left looks out for the next piece for a moment before it goes back to the pool: an iteration on a
/// matrix of some megabytes takes no longer than it takes to wake a thread.
/// </remarks>
internal sealed unsafe class Workers : IThreadPoolWorkItem
{
    [ThreadStatic] private static Workers? own;
    private static readonly long patience = Stopwatch.Frequency / 10_000;       // 100 microseconds

    // The upper half counts the calls of Run, the lower one the shares that nobody has taken: whoever lowers it may read the rest.
    private long state;
    private delegate*<void*, int, void> work;
    private void* context;
    private int unfinished;
    private int helpers;            // in the pool's queue, at work, or looking out

    /// <summary>Calls work(context, share) for each share, at most <paramref name="threads"/> at a time, and returns when all are done.</summary>
    /// <remarks>The work must not throw, nor call Run.</remarks>
    public static void Run(delegate*<void*, int, void> work, void* context, int shares, int threads)
    {
        if (shares == 1 || threads == 1) {
            for (int share = 0; share < shares; share++)
                work(context, share);
            return;
        }
        (own ??= new Workers()).Run(shares, threads, work, context);
    }

    private void Run(int shares, int threads, delegate*<void*, int, void> task, void* argument)
    {
        work = task;
        context = argument;
        unfinished = shares;
        Volatile.Write(ref state, ((state >> 32) + 1) << 32 | (uint)shares);
        while (Volatile.Read(ref helpers) < Math.Min(threads, shares) - 1) {
            Interlocked.Increment(ref helpers);
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
        TakeShares();
        var spin = new SpinWait();
        while (Volatile.Read(ref unfinished) > 0)
            spin.SpinOnce(sleep1Threshold: -1);
    }

    // One that leaves while Run counts on it is missed for that piece alone.
    void IThreadPoolWorkItem.Execute()
    {
        long until;
        do {
            TakeShares();
            until = Stopwatch.GetTimestamp() + patience;
            while ((uint)Volatile.Read(ref state) == 0 && Stopwatch.GetTimestamp() < until)
                Thread.SpinWait(8);
        } while ((uint)Volatile.Read(ref state) != 0);
        Interlocked.Decrement(ref helpers);
    }

    // A helper may come when all is long done, or when another Run has begun: then it helps with that one.
    private void TakeShares()
    {
        for (; ; ) {
            long seen = Volatile.Read(ref state);
            int left = (int)(uint)seen;
            if (left == 0)
                return;
            if (Interlocked.CompareExchange(ref state, seen - 1, seen) == seen) {
                work(context, left - 1);
                Interlocked.Decrement(ref unfinished);
            }
        }
    }
}
