using LsmrTorch.Experiments.LeastSquares;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>
/// The second check: it knows neither the library's solver nor the formula of the gradients, only the dense solution. Each
/// input moves along a random path (the operator along one that keeps its rank), and ⟨g, x⟩ is differentiated by four
/// points, (8 (L(h) − L(−h)) − (L(2h) − L(−2h))) / 12 h.
/// </summary>
internal sealed class CentralDifferences
{
    private readonly Cell _cell;
    private readonly Tensor _b, _x0, _g, _alongB, _alongX0, _e, _f;
    private readonly Tensor[] _theta;
    private readonly double _damp;

    public CentralDifferences(Cell cell, Tensor b, Tensor x0, Tensor g, Tensor[] theta, double damp, Generator generator)
    {
        (_cell, _b, _x0, _g, _theta, _damp) = (cell, b, x0, g, theta, damp);
        (int m, int n) = (cell.Rows, cell.Columns);
        _alongB = randn(m, float64, generator: generator);
        _alongX0 = randn(n, float64, generator: generator);
        _e = randn(m, m, float64, generator: generator).div(Math.Sqrt(m));
        _f = randn(n, n, float64, generator: generator).div(Math.Sqrt(n));
    }

    /// <summary>The worst of the gradients to b, λ, x0 and θ, given in this order, relative to their norms and floors.</summary>
    public double Worst(Tensor[] found, DenseTruth truth)
    {
        (int m, int n) = (_cell.Rows, _cell.Columns);
        double step = 1e-3 / _cell.Cond;
        Tensor matrix = Parameters.Matrix(_cell.Kind, _theta, m, n);
        Factors factors = Factors.Of(matrix);

        double worst = Relative(found[0].dot(_alongB), Derivative(t => Loss(factors, _b.add(_alongB.mul(t)), _x0, _damp), 1e-2),
            truth.P, truth.RhsFloor, _alongB);
        worst = Math.Max(worst, Relative(found[2].dot(_alongX0),
            Derivative(t => Loss(factors, _b, _x0.add(_alongX0.mul(t)), _damp), 1e-2), truth.S, truth.StartFloor, _alongX0));
        if (_damp > 0) {
            worst = Math.Max(worst, Relative(found[1], Derivative(t => Loss(factors, _b, _x0, _damp + t), 1e-2 * _damp),
                tensor(truth.DampGradient), truth.DampFloor, ones(1, float64)));
        }
        Tensor[] tangent = Parameters.Tangent(_cell.Kind, _theta, m, n, _e, _f);
        Tensor along = found[3..].Zip(tangent, (gradient, direction) => gradient.mul(direction).sum()).Aggregate((x, y) => x.add(y));
        double difference = Derivative(t => {
            Tensor[] moved = Parameters.Moved(_cell.Kind, _theta, m, n, _e, _f, t);
            return Loss(Factors.Of(Parameters.Matrix(_cell.Kind, moved, m, n)), _b, _x0, _damp);
        }, step);
        return Math.Max(worst, Relative(along, difference, truth.MatrixGradient, truth.MatrixFloor, tangent));
    }

    private double Loss(Factors factors, Tensor b, Tensor x0, double damp) =>
        new DenseTruth(factors, _cell.Rank, damp, b, x0, _g).Solution.dot(_g).item<double>();

    private static double Derivative(Func<double, double> loss, double step)
    {
        using var scope = NewDisposeScope();
        return ((8 * (loss(step) - loss(-step))) - (loss(2 * step) - loss(-2 * step))) / (12 * step);
    }

    private static double Relative(Tensor along, double difference, Tensor gradient, double floor, params Tensor[] direction)
    {
        double length = Math.Sqrt(direction.Sum(part => Math.Pow(DenseTruth.Norm(part), 2)));
        double error = Math.Abs(along.item<double>() - difference);
        return error == 0 ? 0 : error / (Math.Max(DenseTruth.Norm(gradient), floor) * length);
    }
}
