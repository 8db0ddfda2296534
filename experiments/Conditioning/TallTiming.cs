using System.Diagnostics;
using LsmrTorch.Experiments.LeastSquares;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>One solve by each: seconds, iterations of ours, and ‖A(x − x*)‖ / ‖A x*‖.</summary>
internal sealed record TallRound(double Seconds, double LstsqSeconds, int Iterations, double Error, double LstsqError);

/// <summary>What came out for one matrix; Stop is why LSMR ended, the same in every round.</summary>
internal sealed record TallResult(int Rows, int Columns, int Threads, string Stop, IReadOnlyList<TallRound> Rounds);

/// <summary>
/// A tall dense matrix, float64: LSMR with a sketched preconditioner, making it included, beside torch.linalg.lstsq. They take turns, so
/// that what else the machine does falls on both.
/// </summary>
internal static class TallTiming
{
    public const double Cond = 1e6;
    public const double Misfit = 0.1;
    public const double Tolerance = 1e-10;
    private const int Repetitions = 7;

    public static TallResult Run(int rows, int columns, long seed, Device device)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        (Tensor matrix, Tensor b, Tensor truth) = Problem(rows, columns, seed, device);
        var rounds = new List<TallRound>();
        string stop = "";
        for (int i = 0; i < Repetitions; i++) {
            using var round = NewDisposeScope();
            (LsmrResult ours, double seconds) = Timed(() => Solve(matrix, b), result => result.Solution);
            (Tensor theirs, double lstsqSeconds) = Timed(() => linalg.lstsq(matrix, b).Solution, x => x);
            stop = ours.Stop.ToString();
            rounds.Add(new TallRound(seconds, lstsqSeconds, ours.Iterations, Error(ours.Solution), Error(theirs)));
        }
        return new TallResult(rows, columns, get_num_threads(), stop, rounds);

        double Error(Tensor x) => DenseTruth.Norm(matrix.mv(x.sub(truth))) / DenseTruth.Norm(matrix.mv(truth));
    }

    private static LsmrResult Solve(Tensor matrix, Tensor b)
    {
        LinearOperator A = LinearOperator.FromMatrix(matrix);
        return Lsmr.Solve(A, b, new LsmrOptions {
            Preconditioner = Preconditioner.Sketch(A),
            Atol = Tolerance,
            Btol = Tolerance,
            Audit = true,
        });
    }

    // A = U Σ Vᵀ and b = A x* + a misfit orthogonal to A's columns, so that x* is the solution.
    private static (Tensor Matrix, Tensor RightHandSide, Tensor Truth) Problem(int rows, int columns, long seed, Device device)
    {
        using var scope = NewDisposeScope();
        using Generator random = Seeds.Torch(seed, "tall", rows);
        Tensor u = linalg.qr(randn(rows, columns, float64, generator: random)).Q;
        Tensor v = linalg.qr(randn(columns, columns, float64, generator: random)).Q;
        Tensor matrix = u.mul(tensor(Factors.Geometric(columns, Cond))).mm(v.t());
        Tensor x = randn(columns, float64, generator: random), z = randn(rows, float64, generator: random);
        Tensor image = matrix.mv(x), rest = z.sub(u.mv(u.t().mv(z)));
        Tensor b = image.add(rest.mul(Misfit * DenseTruth.Norm(image) / DenseTruth.Norm(rest)));
        return scope.MoveToOuter(matrix.to(device), b.to(device), x.to(device));
    }

    private static (T Result, double Seconds) Timed<T>(Func<T> solve, Func<T, Tensor> solution)
    {
        var watch = Stopwatch.StartNew();
        T result = solve();
        _ = DenseTruth.Norm(solution(result)); // a GPU has finished once a number of it is read
        return (result, watch.Elapsed.TotalSeconds);
    }
}
