using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>LSMR on tensors that carry no gradients: the loop and its stopping rules.</summary>
internal static class PlainLsmr
{
    /// <summary>
    /// Solves under <c>no_grad()</c>; arguments are checked by the caller, and nothing is audited. b may have one more
    /// dimension for several right-hand sides, as then has x0: each column stops by itself, and its x is not touched again.
    /// The solution is in the caller's dispose scope.
    /// </summary>
    public static LsmrResult Solve(LinearOperator A, Tensor b, Tensor? x0, double damp, LsmrOptions options, LsmrRules? rules = null)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        rules ??= new LsmrRules(options, A, damp);
        var iteration = new LsmrIteration(A.Prepare(), b, x0, damp, options.Reorthogonalise);
        int columns = iteration.Columns;
        var ends = new LsmrColumn[columns];
        long[] active = [.. Enumerable.Range(0, columns)];      // the number of each column that is still iterated
        Tensor? solutions = columns > 1 ? zeros_like(iteration.X) : null;
        double norm = 0, condition = 1;
        for (; ; ) {
            bool requested = iteration.Iterations > 0 && (options.StopWhen?.Invoke(Progress(iteration)) ?? false);
            LsmrStop?[] stops = [.. active.Select((_, j) => rules.Stop(iteration, j, requested))];
            for (int j = 0; j < stops.Length; j++) {
                if (stops[j] is not LsmrStop stop)
                    continue;
                ends[active[j]] = End(iteration, j, stop);
                BidiagonalEntries entries = iteration.Entries(j);
                norm = Math.Max(norm, entries.Largest);
                condition = Math.Max(condition, entries.Smallest == 0 ? 1 : double.Hypot(entries.Largest, damp) / double.Hypot(entries.Smallest, damp));
                Finish(iteration.X, j, active[j], stop, solutions);
            }
            long[] kept = [.. Enumerable.Range(0, stops.Length).Where(j => stops[j] is null).Select(j => (long)j)];
            if (kept.Length == 0)
                break;
            if (kept.Length < stops.Length) {
                iteration.Keep(kept);
                active = GolubKahan.Columns(active, kept);
            }
            options.CancellationToken.ThrowIfCancellationRequested();
            iteration.Step();
        }
        return new LsmrResult {
            Solution = scope.MoveToOuter(solutions ?? iteration.X),
            Columns = ends,
            NormEstimate = norm,
            ConditionEstimate = condition,
            Elapsed = iteration.Elapsed,
        };
    }

    private static LsmrColumn End(LsmrIteration iteration, int column, LsmrStop stop)
    {
        LsmrRecurrence numbers = iteration.Numbers(column);
        return new LsmrColumn(stop, iteration.Iterations, numbers.ResidualNorm, numbers.NormalResidualNorm, iteration.SolutionNorm[column]);
    }

    // Puts the column where it belongs, out of the iteration's way; NaN where a product was, so that nothing passes for a number.
    private static void Finish(Tensor x, int column, long number, LsmrStop stop, Tensor? solutions)
    {
        using var scope = NewDisposeScope();
        Tensor found = solutions is null ? x : solutions.select(-1, number);
        if (stop == LsmrStop.NonFinite)
            Vectors.Fill(found, double.NaN);
        else if (solutions is not null)
            found.copy_(x.dim() == solutions.dim() ? x.select(-1, column) : x);
    }

    // Of several right-hand sides, the largest of each over those that are still iterated.
    private static LsmrProgress Progress(LsmrIteration iteration)
    {
        double Largest(Func<int, double> value) => Enumerable.Range(0, iteration.Columns).Max(value);
        return new LsmrProgress(iteration.Iterations,
            Largest(j => iteration.Numbers(j).ResidualNorm), Largest(j => iteration.Numbers(j).NormalResidualNorm),
            Largest(j => iteration.Numbers(j).FrobeniusEstimate), Largest(j => iteration.Numbers(j).ConditionEstimate),
            Largest(j => iteration.SolutionNorm[j]), iteration.Elapsed);
    }
}
