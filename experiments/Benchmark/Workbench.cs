using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>What every case is made with.</summary>
/// <param name="Sizes">What is measured.</param>
/// <param name="Seed">Of every random number.</param>
/// <param name="Device">Where all but SciPy compute.</param>
/// <param name="Others">Solvers of other packages.</param>
internal sealed record Workbench(BenchmarkSizes Sizes, long Seed, Device Device, IReadOnlyList<OtherSolver> Others)
{
    /// <summary>
    /// The largest size of a column over the smallest: enough that no solve ends before its iterations, and few enough that one to 1e-10
    /// does end.
    /// </summary>
    public const double Spread = 30;

    /// <summary>A dense matrix of normal random entries, its columns' sizes falling from 1 to 1/<see cref="Spread"/>.</summary>
    public Tensor Matrix(DenseSize size)
    {
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Torch(Seed, size.Name);
        ScalarType dtype = size.IsFloat32 ? float32 : float64;
        Tensor matrix = randn(size.Rows, size.Columns, dtype, generator: generator);
        matrix.mul_(logspace(0, -Math.Log10(Spread), size.Columns, dtype: dtype));
        return scope.MoveToOuter(matrix.to(Device));
    }

    /// <summary>Normal random numbers.</summary>
    public Tensor Vector(string use, ScalarType dtype, params long[] shape)
    {
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Torch(Seed, use);
        return scope.MoveToOuter(randn(shape, dtype, generator: generator).to(Device));
    }

    /// <summary>Our iteration.</summary>
    public Method Ours(string name, LinearOperator A, Tensor b, Limits limits) => new Iterative(name, limits, maxIterations => {
        using var scope = NewDisposeScope();
        var options = new LsmrOptions {
            Atol = 0,
            Btol = 0,
            ConditionLimit = double.PositiveInfinity,
            MaxIterations = maxIterations,
            Audit = false,
        };
        int iterations = 0;
        double seconds = Clock.Seconds(Device, () => iterations = Lsmr.Solve(A, b, options).Iterations);
        return new TimedSolve(iterations, seconds);
    });

    /// <summary>The plain loop over TorchSharp's tensor operators.</summary>
    public Method Naive(Func<Tensor, Tensor> product, Func<Tensor, Tensor> transposed, Tensor b, Limits limits) =>
        new Iterative("naive", limits, maxIterations => {
            using var scope = NewDisposeScope();
            int iterations = 0;
            double seconds = Clock.Seconds(Device, () => iterations = NaiveLsmr.Solve(product, transposed, b, maxIterations).Iterations);
            return new TimedSolve(iterations, seconds);
        });

    /// <summary>A call whose result is thrown away; the call is within a scope of its own.</summary>
    public Method Call(string name, Action call, int leastCalls = 1) => new Operation(name, Device, () => {
        using var scope = NewDisposeScope();
        call();
    }, leastCalls);

    /// <summary>The other packages' solvers on a problem that <paramref name="load"/> hands them.</summary>
    public IEnumerable<Method> OthersOn(Limits limits, bool isCsr, Action<OtherSolver> load)
    {
        foreach (OtherSolver other in Others.Where(other => other.Failure is null && (other.TakesCsr || !isCsr))) {
            Method? method = null;
            try {
                load(other);
                method = new Iterative(other.Name, limits, other.Solve, OtherSolver.Spinning);
            } catch (OtherSolverException) {            // its Failure says why
            }
            if (method is not null) {
                yield return method;
            }
        }
    }
}
