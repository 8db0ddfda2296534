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
    public static LsmrResult Solve(LinearOperator A, Tensor b, Tensor? x0, double damp, LsmrOptions options, LsmrRules? rules = null, Tensor? bImage = null)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        rules ??= new LsmrRules(options, A, damp);
        long[] columns = b.shape[A.OutputShape.Count..];
        var iteration = new LsmrIteration(A.Prepare(), columns.Length > 0 ? columns[0] : null, damp, options.Reorthogonalise);
        iteration.Begin(b, x0, bImage);
        var ends = new LsmrColumn[iteration.Columns];
        Tensor? solutions = iteration.Columns > 1 ? zeros_like(iteration.X) : null;
        double norm = 0, condition = 1;
        bool requested = false;
        ColumnLoop.Run<LsmrStop>(iteration.Columns, j => rules.Stop(iteration, j, requested), End, iteration.Keep, Step, options.CancellationToken);

        void End(int j, long number, LsmrStop stop)
        {
            LsmrRecurrence numbers = iteration.Numbers(j);
            ends[number] = new LsmrColumn(stop, iteration.Iterations, numbers.ResidualNorm, numbers.NormalResidualNorm, iteration.NormOfSolution(j));
            BidiagonalEntries entries = iteration.Entries(j);
            norm = Math.Max(norm, entries.Largest);
            if (entries.Smallest > 0)
                condition = Math.Max(condition, double.Hypot(entries.Largest, damp) / double.Hypot(entries.Smallest, damp));
            ColumnLoop.Put(iteration.X, j, number, stop != LsmrStop.NonFinite, solutions);
        }

        void Step()
        {
            iteration.Step();
            requested = options.StopWhen?.Invoke(Progress(iteration)) ?? false;
        }

        return new LsmrResult {
            Solution = scope.MoveToOuter(solutions ?? iteration.X),
            Columns = ends,
            NormEstimate = norm,
            ConditionEstimate = condition,
            Elapsed = iteration.Elapsed,
        };
    }

    /// <summary>Of several right-hand sides, the largest of each number over those that are still iterated.</summary>
    public static LsmrProgress Progress(LsmrIteration iteration)
    {
        double Largest(Func<int, double> value) => Enumerable.Range(0, iteration.Columns).Max(value);
        return new LsmrProgress(iteration.Iterations,
            Largest(j => iteration.Numbers(j).ResidualNorm), Largest(j => iteration.Numbers(j).NormalResidualNorm),
            Largest(j => iteration.Numbers(j).FrobeniusEstimate), Largest(j => iteration.Numbers(j).ConditionEstimate),
            Largest(j => iteration.SolutionNorm[j]), iteration.Elapsed);
    }
}
