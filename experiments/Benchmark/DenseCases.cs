using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>Our iteration with a dense matrix beside one read of it, its two products, a plain loop and other packages.</summary>
internal static class DenseCases
{
    private const double Tolerance = 1e-10;

    /// <summary>The case of an iteration, and where it is wanted the one of a whole solve.</summary>
    public static IEnumerable<Case> Of(DenseSize size, Workbench bench)
    {
        Tensor matrix = bench.Matrix(size);
        Tensor b = bench.Vector(size.Name + " b", matrix.dtype, size.Rows);
        Tensor v = bench.Vector(size.Name + " v", matrix.dtype, size.Columns);
        LinearOperator A = LinearOperator.FromMatrix(matrix);
        long bytes = matrix.numel() * matrix.element_size();
        int rounds = bench.Sizes.RoundsOf(bytes);
        yield return new Case(size.Name, size.IsFloat32 ? "dense f32" : "dense f64", bytes, rounds, [
            bench.Ours("ours", A, b, size.Limits),
            bench.Call("read", () => matrix.sum()),
            bench.Call("libtorch_products", () => {
                matrix.mv(v);
                matrix.t().mv(b);
            }),
            bench.Naive(x => matrix.mv(x), u => matrix.t().mv(u), b, size.Limits),
            .. bench.OthersOn(size.Limits, isCsr: false, other => other.Load(matrix, b)),
        ]);
        if (size.BesideLstsq) {
            yield return new Case(size.Name + "_solution", "", bytes, Math.Min(3, rounds), [
                new WholeSolve("ours", () => {
                    using var scope = NewDisposeScope();
                    int iterations = 0;
                    double seconds = Clock.Seconds(bench.Device, () =>
                        iterations = Lsmr.Solve(A, b, new LsmrOptions { Atol = Tolerance, Btol = Tolerance }).Iterations);
                    return new TimedSolve(iterations, seconds);
                }),
                new WholeSolve("lstsq", () => {
                    using var scope = NewDisposeScope();
                    Tensor column = b.unsqueeze(1);         // a GPU's solver takes no single vector
                    return new TimedSolve(0, Clock.Seconds(bench.Device, () => linalg.lstsq(matrix, column)));
                }),
            ]);
        }
    }

    /// <summary>Several right-hand sides with one matrix: our iteration, and the two matrix-matrix products that bound it.</summary>
    public static IEnumerable<Case> RightHandSides(DenseSize size, Workbench bench)
    {
        Tensor matrix = bench.Matrix(size);
        LinearOperator A = LinearOperator.FromMatrix(matrix);
        long bytes = matrix.numel() * matrix.element_size();
        var methods = new List<Method>();
        foreach (int count in bench.Sizes.RightHandSides) {
            Tensor b = count == 1
                ? bench.Vector("right-hand sides", matrix.dtype, size.Rows)
                : bench.Vector("right-hand sides", matrix.dtype, size.Rows, count);
            Tensor v = bench.Vector("several vectors", matrix.dtype, size.Columns, count);
            methods.Add(bench.Ours($"ours_{count}", A, b, size.Limits));
            if (count > 1) {
                methods.Add(bench.Call($"libtorch_products_{count}", () => {
                    matrix.mm(v);
                    matrix.t().mm(b);
                }));
            }
        }
        yield return new Case("rhs", "rhs", bytes, Math.Min(5, bench.Sizes.RoundsOf(bytes)), methods);
    }

    /// <summary>What the memory gives: a large tensor copied to another.</summary>
    public static IEnumerable<Case> Copy(Workbench bench)
    {
        Tensor from = zeros(bench.Sizes.CopyBytes / 8, float64, bench.Device), to = zeros_like(from);
        yield return new Case("copy", "", bench.Sizes.CopyBytes, bench.Sizes.Rounds, [bench.Call("copy", () => to.copy_(from))]);
    }
}
