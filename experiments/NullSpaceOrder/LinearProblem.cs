using LsmrTorch.Experiments.Conservativeness;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>
/// Linear regression y ≈ W x + b under W P = P W, P the cyclic shift: linear, and its constrained minimum is known. The points
/// come from a W without the symmetry and from inputs of unequal scale, so that the constraint pulls, and pulls unevenly.
/// </summary>
internal sealed class LinearProblem : OrderProblem
{
    public const string Title = "linear";

    private static readonly Scalar s_one = 1.0.ToScalar();
    private readonly Parameter _weight;
    private readonly Parameter _bias;
    private readonly Tensor _x;
    private readonly Tensor _y;

    public LinearProblem(ProblemSizes sizes, long seed, Device device)
    {
        (int side, int points) = (sizes.Hidden, sizes.Points);
        using var scope = NewDisposeScope();
        double[] scales = [.. Enumerable.Range(0, side).Select(i => Math.Pow(3, -i / (double)Math.Max(1, side - 1)))];
        Tensor truth = Normal(Seeds.Managed(seed, "truth"), side, side, device);
        _x = Normal(Seeds.Managed(seed, "inputs"), points, side, device).mul(tensor(scales, device: device)).DetachFromDisposeScope();
        _y = _x.mm(truth.t()).add(Normal(Seeds.Managed(seed, "offset"), 1, side, device), s_one).DetachFromDisposeScope();
        _weight = new Parameter(Normal(Seeds.Managed(seed, "weights"), side, side, device).DetachFromDisposeScope());
        _bias = new Parameter(zeros(side, ScalarType.Float64, device).DetachFromDisposeScope());
        long[] back = [.. Enumerable.Range(0, side).Select(i => (long)((i + side - 1) % side))], ahead = [.. Enumerable.Range(0, side).Select(i => (long)((i + 1) % side))];
        Tensor down = tensor(back, device: device).DetachFromDisposeScope(), up = tensor(ahead, device: device).DetachFromDisposeScope();
        LinearOperator shift = LinearOperator.FromMatVec(v => v.index_select(0, down), u => u.index_select(0, up), [side], ScalarType.Float64, device);
        Constraint = Constraint.EquivariantWeights(_weight, shift, shift);
        Optimum = LeastLoss();
    }

    /// <inheritdoc/>
    public override string OtherName => "gap";

    /// <summary>The least loss under the constraint, by dense least squares in the coefficients of W = Σ cⱼ Pʲ and in b.</summary>
    public double Optimum { get; }

    /// <inheritdoc/>
    public override Parameter[] Parameters => [_weight, _bias];

    /// <inheritdoc/>
    public override Constraint Constraint { get; }

    /// <inheritdoc/>
    public override void At(int step)
    {
        // the constraint needs no points
    }

    /// <inheritdoc/>
    public override Tensor Loss(int step) => nn.functional.mse_loss(_x.mm(_weight.t()).add(_bias, s_one), _y);

    /// <summary>The loss, the root mean square of W P − P W, and the loss over the least possible one, less 1.</summary>
    public override OrderMeasure Measure()
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Tensor c = Constraint.Evaluate(Parameters);
        double loss = Loss(0).item<double>(), size = c.mul(c).mean().sqrt().item<double>();
        return new OrderMeasure(loss, size, (loss / Optimum) - 1);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _weight.Dispose();
        _bias.Dispose();
        _x.Dispose();
        _y.Dispose();
    }

    // The prediction is Σ cⱼ Pʲ x + b: one column of a tall matrix for each cⱼ and each entry of b, over all points and outputs. The normal
    // equations are well conditioned, and sums in a fixed order give the same bits in every run, which LAPACK does not promise.
    private double LeastLoss()
    {
        (int points, int side) = ((int)_x.size(0), (int)_x.size(1));
        using Tensor onHostX = _x.cpu(), onHostY = _y.cpu();
        double[] x = onHostX.data<double>().ToArray(), y = onHostY.data<double>().ToArray();
        int n = 2 * side;
        var matrix = new double[n, n + 1]; // with the right-hand side as its last column
        for (int row = 0; row < y.Length; row++) {
            for (int i = 0; i < n; i++) {
                for (int j = 0; j <= n; j++) {
                    matrix[i, j] += Entry(row, i) * (j == n ? y[row] : Entry(row, j));
                }
            }
        }
        double[] best = Eliminate(matrix, n);
        return Enumerable.Range(0, y.Length).Sum(row => Math.Pow(y[row] - Enumerable.Range(0, n).Sum(i => Entry(row, i) * best[i]), 2)) / (points * side);

        double Entry(int row, int column)
        {
            (int point, int output) = (row / side, row % side);
            return column >= side ? (column - side == output ? 1 : 0) : x[(point * side) + ((output - column + side) % side)];
        }
    }

    // A positive definite system needs no pivots.
    private static double[] Eliminate(double[,] matrix, int n)
    {
        for (int pivot = 0; pivot < n; pivot++) {
            for (int i = pivot + 1; i < n; i++) {
                double factor = matrix[i, pivot] / matrix[pivot, pivot];
                for (int j = pivot; j <= n; j++) {
                    matrix[i, j] -= factor * matrix[pivot, j];
                }
            }
        }
        var solution = new double[n];
        for (int i = n - 1; i >= 0; i--) {
            solution[i] = (matrix[i, n] - Enumerable.Range(i + 1, n - i - 1).Sum(j => matrix[i, j] * solution[j])) / matrix[i, i];
        }
        return solution;
    }

    private static Tensor Normal(Random random, int rows, int columns, Device device)
    {
        double[] values = [.. Enumerable.Range(0, rows * columns).Select(_ => Seeds.Normal(random))];
        using Tensor flat = tensor(values, device: device);
        return flat.view(rows, columns);
    }
}
