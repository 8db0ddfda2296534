using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>
/// A damping that the dtype holds is solved with, though its square may leave the range; any other is refused by name.
/// </summary>
public class DampRangeTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static void Refused(TestDelegate action, string sentence) =>
        Assert.That(action, Throws.ArgumentException.With.Message.Contains(sentence));

    [Test]
    public void Large_damping_is_solved_with_in_single_precision([Values(1e15, 1.9e19, 2e19, 1e20, 1e22)] double damp,
        [Values] bool hasStart, [Values] bool isTall, [Values] bool hasColumns, [Values] bool asTensor)
    {
        (long m, long n) = isTall ? (12, 5) : (5, 12);
        // b as large as λ², so that x is of the size of 1.
        Tensor M = Problems.Matrix(m, n, 5, 1), b = hasColumns ? Problems.Random(2, m, 2) : Problems.Random(2, m);
        Tensor x0 = hasColumns ? Problems.Random(3, n, 2) : Problems.Random(3, n);
        double scale = Math.Min(damp, 1e18);
        LinearOperator A = scale * LinearOperator.FromMatrix(M.to(float32));
        Damping damping = asTensor ? (Damping)tensor(damp, float64) : damp;
        var options = new LsmrOptions { Damp = damping, Start = hasStart ? x0.to(float32) : null };
        LsmrResult result = Lsmr.Solve(A, (b * scale).to(float32), options);
        double ratio = damp / scale;                                    // min ‖M x − b‖² + ratio²‖x − x0‖²
        Tensor start = hasStart ? x0.to(float32).to(float64) : zeros_like(x0);
        Tensor normal = M.t().mm(M) + eye(n, dtype: float64) * (ratio * ratio);
        Tensor expected = start + linalg.solve(normal, M.t().matmul(b - M.matmul(start)));
        Check.Close(result.Solution, expected, 1e-4, "x");
    }

    [Test]
    public void Gradients_with_large_damping_are_right_or_refused([Values(1e15, 1e18, 2e19, 1e21)] double damp,
        [Values(1, 2)] int order, [Values] bool asTensor)
    {
        Tensor M = Problems.Matrix(7, 4, 5, 1), c = Problems.Random(3, 4);
        Tensor b = Problems.Random(2, 7).to(float32).requires_grad_(), lambda = tensor(damp, float32);
        LinearOperator A = 1e15 * LinearOperator.FromMatrix(M.to(float32));
        var options = new LsmrOptions { Damp = asTensor ? lambda : damp, Gradient = new() { Order = order } };
        if (order == 2 && damp > 1e20) {
            // w, of the size of 1/λ², has lost its digits to underflow.
            Refused(() => Lsmr.Solve(A, b, options), "With GradientOptions.Order over 1, a float32 damp must be at most 1E+20");
            return;
        }
        Tensor normal = M.t().mm(M) * 1e30 + eye(4, dtype: float64) * (damp * damp);
        Tensor expected = M.mv(linalg.solve(normal, c)) * 1e15;
        try {
            Lsmr.Solve(A, b, options).Solution.mul(c.to(float32)).sum().backward();
        } catch (Exception failure) when (
            failure is LsmrException or System.Runtime.InteropServices.ExternalException) {
            Assert.That(failure.Message, Does.Not.Contain("without overflow"));
            Assert.That(damp, Is.GreaterThan(1e18), failure.Message);
            return;
        }
        Check.Close(b.grad!, expected, 1e-3, "gradient to b");
    }

    [Test]
    public void Damping_out_of_the_range_is_named([Values(3.5e38, 1e39, 1e300)] double damp)
    {
        LinearOperator A = LinearOperator.FromMatrix(ones(4, 3));
        string name = Text.Number(damp);
        string rule = $"must fit Float32, whose largest number is 3.4e+38, but is {name}";
        Refused(() => linalg.lsmr(A, ones(4), damp), $"damp {rule}");
        Refused(() => linalg.lsmr(A, ones(4), tensor(damp, float64)), $"damp {rule}");
        Refused(() => linalg.lsmr(A, ones(4, 2), damp), $"damp {rule}");
        Refused(() => Craigmr.Solve(A, ones(4), new CraigmrOptions { Damp = damp }), $"Damp {rule}");
        Refused(() => _ = new LsmrWorkspace(A, new LsmrOptions { Damp = damp }), $"damp {rule}");
        Refused(() => Preconditioner.ColumnScaling(A, damp), $"damp {rule}");
        Refused(() => Preconditioner.Sketch(A, damp), $"damp {rule}");
        Refused(() => Lsmr.Jvp(A, ones(4), zeros(3), [], new LsmrOptions { Damp = damp }), $"damp {rule}");
        Refused(() => _ = damp * A, $"An operator's factor {rule}");
        Refused(() => _ = tensor(-damp, float64) * A, "An operator's factor must fit Float32");
        LinearOperator wide = LinearOperator.FromMatrix(ones(4, 3, float64));
        Assert.DoesNotThrow(() => _ = damp * wide);
        Assert.DoesNotThrow(() => linalg.lsmr(wide, ones(4, float64), damp));
    }

    [Test]
    public void Damping_that_is_no_number_is_named(
        [Values(double.NaN, double.PositiveInfinity, double.NegativeInfinity, -1)] double damp)
    {
        LinearOperator A = LinearOperator.FromMatrix(ones(4, 3));
        const string Rule = "must be finite and not negative";
        Refused(() => linalg.lsmr(A, ones(4), damp), $"damp {Rule}");
        Refused(() => linalg.lsmr(A, ones(4), tensor(damp, float32)), $"damp {Rule}");
        Refused(() => linalg.lsmr(A, ones(4), tensor(damp, float64)), $"damp {Rule}");
        Refused(() => Craigmr.Solve(A, ones(4), new CraigmrOptions { Damp = damp }), $"Damp {Rule}");
        Refused(() => _ = new LsmrWorkspace(A, new LsmrOptions { Damp = damp }), $"damp {Rule}");
        Refused(() => Preconditioner.ColumnScaling(A, damp), $"damp {Rule}");
        Refused(() => Preconditioner.Sketch(A, damp), $"damp {Rule}");
    }

    [Test]
    public void Preconditioners_of_large_damping_are_right([Values(1e10, 2e19, 1e21)] double damp,
        [Values] bool isSketch)
    {
        Tensor M = Problems.Matrix(300, 5, 5, 1), b = Problems.Random(2, 300);
        double scale = Math.Min(damp, 1e17);
        LinearOperator A = scale * LinearOperator.FromMatrix(M.to(float32)),
            plain = LinearOperator.FromMatrix((M * scale).to(float32));
        LinearOperator P = isSketch ? Preconditioner.Sketch(plain, damp) : Preconditioner.ColumnScaling(A, damp);
        LsmrResult result = Lsmr.Solve(A, (b * scale).to(float32), new LsmrOptions { Damp = damp, Preconditioner = P });
        double ratio = damp / scale;
        Tensor expected = linalg.solve(M.t().mm(M) + eye(5, dtype: float64) * (ratio * ratio), M.t().mv(b));
        Check.Close(result.Solution, expected, 1e-4, "x");
    }

    [Test]
    public void Craigmr_and_workspaces_take_large_damping([Values(2e19, 1e21)] double damp)
    {
        Tensor M = Problems.Matrix(7, 4, 5, 1), b = Problems.Random(2, 7), x = zeros(4, float32);
        LinearOperator A = 1e18 * LinearOperator.FromMatrix(M.to(float32));
        double ratio = damp / 1e18;
        Tensor expected = linalg.solve(M.t().mm(M) + eye(4, dtype: float64) * (ratio * ratio), M.t().mv(b));
        Tensor rhs = (b * 1e18).to(float32);
        Check.Close(Craigmr.Solve(A, rhs, new CraigmrOptions { Damp = damp }).Solution, expected, 1e-4, "x of CRAIGMR");
        using var workspace = new LsmrWorkspace(A, new LsmrOptions { Damp = damp });
        workspace.Solve(rhs, x);
        Check.Close(x, expected, 1e-4, "x of the workspace");
    }
}
