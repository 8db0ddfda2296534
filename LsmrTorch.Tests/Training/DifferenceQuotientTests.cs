using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>J v by differences beside J v by derivatives.</summary>
public class DifferenceQuotientTests
{
    // A residual of a smooth network's weights, or of one with kinks.
    private static (Parameter[] Parameters, Func<Tensor> Residual) Network(ScalarType dtype, bool isSmooth)
    {
        Tensor x = Problems.Random(1, 20, 6).to(dtype), y = Problems.Random(2, 20, 3).to(dtype);
        Parameter[] parameters = [new(Problems.Random(3, 6, 15).to(dtype)), new(Problems.Random(4, 15).to(dtype)), new(Problems.Random(5, 15, 3).to(dtype))];
        return (parameters, Residual);

        Tensor Residual()
        {
            Tensor hidden = x.mm(parameters[0]).add(parameters[1]);
            return (isSmooth ? hidden.tanh() : hidden.relu()).mm(parameters[2]).sub(y);
        }
    }

    // The quotient's errors: h‖v‖ times the curvature, of order one here, with h‖v‖ = √ε (1 + ‖θ‖)/3 and ‖θ‖ = 13; and as much by rounding.
    [TestCase(ScalarType.Float64, true, 1e-6)]
    [TestCase(ScalarType.Float32, true, 2e-2)]
    [TestCase(ScalarType.Float32, false, 5e-2)] // kinks between θ and θ + hv
    public void The_product_is_about_that_of_derivatives(ScalarType dtype, bool isSmooth, double tolerance)
    {
        using var scope = NewDisposeScope();
        (Parameter[] parameters, Func<Tensor> residual) = Network(dtype, isSmooth);
        (_, LinearOperator exact) = Constraint.FromResidual(residual).Linearize(parameters);
        (_, LinearOperator quotient) = Constraint.FromResidual(residual, JacobianProducts.Differences).Linearize(parameters);
        Tensor v = Problems.Random(6, exact.Columns).to(dtype), u = Problems.Random(7, [.. exact.OutputShape]).to(dtype);
        using (no_grad()) {
            Check.Close(quotient.Apply(v), exact.Apply(v), tolerance, "J v");
            Check.Close(quotient.Apply(zeros_like(v)), zeros_like(u), 0, "J 0", 1);
            Check.Close(quotient.ApplyTranspose(u), exact.ApplyTranspose(u), 10 * Vectors.Epsilon(dtype), "J'u after a product");
        }
    }

    [Test]
    public void The_parameters_are_back_to_the_bit_even_if_the_residual_throws()
    {
        using var scope = NewDisposeScope();
        (Parameter[] parameters, Func<Tensor> residual) = Network(ScalarType.Float32, isSmooth: true);
        double[][] before = [.. parameters.Select(p => Problems.Values(p))];
        bool fails = false;
        (_, LinearOperator J) = Constraint.FromResidual(() => fails ? throw new InvalidOperationException("no data") : residual(), JacobianProducts.Differences).Linearize(parameters);
        using var guard = no_grad();
        Tensor v = Problems.Random(6, J.Columns).to(ScalarType.Float32);
        Check.LeavesNoTensors(() => J.Apply(v).Dispose());
        Assert.That(parameters.Select(p => Problems.Values(p)), Is.EqualTo(before));
        fails = true;
        Assert.That(() => J.Apply(v), Throws.InvalidOperationException.With.Message.EqualTo("no data"));
        Assert.That(parameters.Select(p => Problems.Values(p)), Is.EqualTo(before));
    }

    [Test]
    public void Steps_hold_the_constraint_as_those_by_derivatives_do([Values] bool isSmooth)
    {
        using var scope = NewDisposeScope();
        var after = new Dictionary<JacobianProducts, double>();
        foreach (JacobianProducts products in Enum.GetValues<JacobianProducts>()) {
            (Parameter[] parameters, Func<Tensor> residual) = Network(ScalarType.Float32, isSmooth);
            using var inner = optim.SGD(parameters, 1e-3);
            var optimizer = new NullSpaceOptimizer(inner, parameters, Constraint.FromResidual(residual, products), rate: 0.5) { Tolerance = 0.05, MeasuresAfter = true };
            double first = 0;
            for (int step = 0; step < 6; step++) {
                optimizer.zero_grad();
                using var each = NewDisposeScope();
                parameters[0].square().sum().backward();    // a loss that pulls elsewhere
                NullSpaceReport report = optimizer.step();
                first = step == 0 ? report.ConstraintNorm : first;
                after[products] = report.ConstraintNormAfter!.Value / first;
            }
        }
        // (1 − κ)⁶ = 1/64 by the linear model, and what curvature adds.
        Assert.That(after[JacobianProducts.Derivatives], Is.LessThan(0.1));
        Assert.That(after[JacobianProducts.Differences], Is.LessThan(0.1));
    }
}
