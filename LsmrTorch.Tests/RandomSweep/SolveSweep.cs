using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.RandomSweep;

/// <summary>What a solve of a random problem shows beside the solution in 32 digits, and the sum of many.</summary>
internal sealed class SolveSweep
{
    /// <summary>How far an x that is said to be converged may be from the solution, in units of its own error estimate.</summary>
    public const double Factor = 4;

    public int Cases { get; private set; }
    public int Columns { get; private set; }
    public int Converged { get; private set; }

    /// <summary>Converged, and further off than <see cref="Factor"/> times the estimate.</summary>
    public int Wrong { get; private set; }

    /// <summary>
    /// Of full rank, but with a singular value that counts as zero in the dtype, 4 √n eps beside the largest after rows or columns were
    /// scaled: two answers are right, with it and without, and neither is judged.
    /// </summary>
    public int Undecided { get; private set; }

    /// <summary>Converged, with an estimate over 1 %.</summary>
    public int Doubtful { get; private set; }

    /// <summary>The largest error of a converged x in units of its estimate.</summary>
    public double WorstRatio { get; private set; }

    /// <summary>The median of estimate / error over the converged with an error over eps.</summary>
    public double TypicalExcess { get; private set; }

    public SortedDictionary<LsmrStop, int> Stops { get; } = [];
    public List<string> Failures { get; } = [];
    private readonly List<double> excesses = [];
    private Func<LsmrResult, LsmrResult>? spoil;

    /// <summary>The problems of the seeds first to first + count − 1.</summary>
    /// <param name="first">The first seed.</param>
    /// <param name="count">How many.</param>
    /// <param name="progress">Called after each.</param>
    /// <param name="spoil">Changes what was found before it is judged; for a test of the judge.</param>
    public static SolveSweep Run(int first, int count, Action<SolveSweep>? progress = null, Func<LsmrResult, LsmrResult>? spoil = null)
    {
        var sweep = new SolveSweep { spoil = spoil };
        for (int seed = first; seed < first + count; seed++) {
            sweep.Add(new RandomProblem(seed));
            progress?.Invoke(sweep);
        }
        sweep.excesses.Sort();
        sweep.TypicalExcess = sweep.excesses.Count == 0 ? double.NaN : sweep.excesses[sweep.excesses.Count / 2];
        return sweep;
    }

    private void Add(RandomProblem problem)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Cases++;
        LsmrResult result;
        try {
            LinearOperator A = Operator(problem);
            result = Lsmr.Solve(A, problem.RightHandSide(), new LsmrOptions {
                Damp = problem.ScaledDamp,
                Start = problem.StartTensor(),
                Preconditioner = Preconditioner(problem, A),
                ConditionLimit = problem.Seed % 2 == 0 ? 1e8 : 1e300,
            });
        } catch (Exception failure) {
            Wrong++;
            if (Failures.Count < 20)
                Failures.Add($"{problem}: {failure.GetType().Name}: {failure.Message}");
            return;
        }
        result = spoil?.Invoke(result) ?? result;
        bool isUndecided = IsUndecided(problem);
        double[][] expected = problem.Solutions();
        double[] found = Vectors.ReadAll(result.Solution);
        for (int j = 0; j < problem.Count; j++) {
            LsmrColumn column = result.Columns[j];
            Columns++;
            Stops[column.Stop] = Stops.GetValueOrDefault(column.Stop) + 1;
            if (!column.Converged)
                continue;
            Converged++;
            if (isUndecided) {
                Undecided++;
                continue;
            }
            double[] x = [.. Enumerable.Range(0, problem.N).Select(k => Math.ScaleB(found[k * problem.Count + j], problem.ScaleOfA - problem.ScaleOfB))];
            Judge(problem, column, x, expected[j]);
        }
    }

    private void Judge(RandomProblem problem, LsmrColumn column, double[] x, double[] expected)
    {
        double size = Norm(x), error = Norm([.. x.Zip(expected, (a, b) => a - b)]);
        double relative = error == 0 ? 0 : error / size, estimate = column.ErrorEstimate;
        double ratio = relative == 0 ? 0 : relative / estimate;
        if (double.IsNaN(ratio) || (relative > 0 && double.IsNaN(estimate)))
            ratio = double.PositiveInfinity;
        WorstRatio = Math.Max(WorstRatio, ratio);
        if (estimate > 1e-2)
            Doubtful++;
        if (relative > Vectors.Epsilon(problem.Dtype) && double.IsFinite(estimate))
            excesses.Add(estimate / relative);
        if (ratio <= Factor)
            return;
        Wrong++;
        if (Failures.Count < 20)
            Failures.Add(string.Create(CultureInfo.InvariantCulture, $"{problem}: {column.Stop} after {column.Iterations}, error {relative:E1}, estimate {estimate:E1}"));
    }

    private static bool IsUndecided(RandomProblem problem)
    {
        if (problem.Damp > 0 || problem.IsDeficient || problem.M == 0 || problem.N == 0)
            return false;
        Tensor A = tensor(problem.A.Cast<double>().ToArray(), float64).reshape(problem.M, problem.N), tall = problem.M < problem.N ? A.t() : A;
        Tensor norms = tall.norm(0, false, 2f);
        double[] values = Vectors.ReadAll(linalg.svdvals(tall.div(norms.clamp_min(double.Epsilon))));
        return values[^1] <= 4 * Math.Sqrt(Math.Max(problem.M, problem.N)) * Vectors.Epsilon(problem.Dtype) * values[0];
    }

    private static LinearOperator Operator(RandomProblem problem)
    {
        Tensor M = problem.Matrix();
        switch (problem.OperatorKind) {
            case RandomProblem.Kind.Columns:
                return LinearOperator.FromMatrix(M.t().contiguous().t());
            case RandomProblem.Kind.Csr:
                return Problems.Csr(M);
            case RandomProblem.Kind.Closure:
                Tensor transposed = M.t();
                return LinearOperator.FromMatVec(v => M.mv(v), u => transposed.mv(u), [M.shape[1]], M.dtype);
            default:
                return LinearOperator.FromMatrix(M);
        }
    }

    private static LinearOperator? Preconditioner(RandomProblem problem, LinearOperator A)
    {
        bool mayBe = problem.Damp > 0 || (!problem.IsDeficient && problem.M >= problem.N);
        bool isMatrix = problem.OperatorKind != RandomProblem.Kind.Closure;
        if (!mayBe || problem.PreconditionerKind == 0 || problem.N == 0)
            return null;
        if (problem.PreconditionerKind == 1 || !isMatrix || problem.M < problem.N || problem.M == 0)
            return LsmrTorch.Preconditioner.ColumnScaling(A, problem.ScaledDamp);
        try {
            return LsmrTorch.Preconditioner.Sketch(A, problem.ScaledDamp);
        } catch (ArgumentException) {       // dependent columns to the precision of the dtype, as documented
            return null;
        }
    }

    private static double Norm(double[] x)
    {
        double largest = x.Length == 0 ? 0 : x.Max(Math.Abs);
        return largest is 0 or double.PositiveInfinity ? largest : largest * Math.Sqrt(x.Sum(value => value / largest * (value / largest)));
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Cases} cases, {Columns} columns, {Converged} converged, {Undecided} of them undecided, {Wrong} wrong, {Doubtful} doubtful, worst error {WorstRatio:G3} of its estimate, "
        + $"estimate typically {TypicalExcess:G3} of the error; {string.Join(", ", Stops.Select(stop => $"{stop.Key} {stop.Value}"))}");
}
