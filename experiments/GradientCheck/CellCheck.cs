using LsmrTorch.Experiments.LeastSquares;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>A cell with its errors, or with the sentence that was thrown.</summary>
internal sealed record CellResult(Cell Cell, CellErrors? Errors, string? Failure);

/// <summary>Solves a cell through the library and compares with dense float64 algebra.</summary>
internal static class CellCheck
{
    /// <summary>Never throws for what the library says about the mathematics; that is the cell's failure.</summary>
    public static CellResult Run(Cell cell, long seed, Device device)
    {
        (CellErrors? errors, string? failure) = Layer.Try(() => Compare(cell, seed, device));
        return new CellResult(cell, errors, failure);
    }

    private static CellErrors Compare(Cell cell, long seed, Device device)
    {
        (int m, int n) = (cell.Rows, cell.Columns);
        // All kinds, types, dampings and starts of a shape and rank have the same problem, up to rounding.
        using Generator generator = Seeds.Torch(seed, $"{cell.Shape} {cell.RankName} {cell.Scale}");
        double[] sigma = [.. Factors.Geometric(cell.Rank, cell.Cond)];
        Tensor matrix = Factors.Matrix(m, n, sigma, generator, cell.Dtype);
        Tensor b = randn(m, float64, generator: generator).to_type(cell.Dtype);
        Tensor g = randn(n, float64, generator: generator).to_type(cell.Dtype);
        Tensor x0 = randn(n, float64, generator: generator).to_type(cell.Dtype);
        if (!cell.Start) {
            x0 = zeros_like(x0);
        }
        Tensor damp = tensor(cell.Damp, cell.Dtype);
        Tensor[] theta = Parameters.Of(cell.Kind, matrix);

        Tensor[] inputs = [.. new[] { b, damp, x0 }.Concat(theta).Select(x => x.to(device, copy: true).requires_grad_())];
        (LsmrResult result, Tensor[] found) = Layer.Solve(
            Parameters.Operator(cell.Kind, inputs[3..], m, n), inputs, g.to(device));

        // The truth is that of the rounded numbers that the library was given.
        (b, g, x0, matrix) = (b.to_type(float64), g.to_type(float64), x0.to_type(float64), matrix.to_type(float64));
        theta = [.. theta.Select(x => x.to_type(float64))];
        double lambda = damp.to_type(float64).item<double>();
        var truth = new DenseTruth(Factors.Of(matrix), cell.Rank, lambda, b, x0, g);
        Tensor chained = Flat(Parameters.Chain(cell.Kind, theta, truth.MatrixGradient));
        return new CellErrors(
            X: DenseTruth.Error(result.Solution, truth.Solution, truth.SolutionFloor),
            B: DenseTruth.Error(found[0], truth.P, truth.RhsFloor),
            A: DenseTruth.Error(Flat(found[3..]), chained, truth.MatrixFloor),
            Damp: DenseTruth.Error(found[1], tensor(truth.DampGradient), truth.DampFloor),
            X0: DenseTruth.Error(found[2], truth.S, truth.StartFloor),
            Difference: cell.IsDouble
                ? new CentralDifferences(cell, b, x0, g, theta, lambda, generator).Worst(found, truth)
                : null,
            Iterations: result.Iterations);
    }

    private static Tensor Flat(Tensor[] parts) => cat([.. parts.Select(part => part.reshape(-1))]);
}
