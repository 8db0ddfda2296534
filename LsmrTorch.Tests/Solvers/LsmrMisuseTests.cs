using System.Globalization;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Solvers;

/// <summary>Misuse of the solve throws with the rule and the value; what is returned reads the same everywhere.</summary>
public class LsmrMisuseTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static readonly Func<LinearOperator> A = () => LinearOperator.FromMatrix(Problems.Matrix(6, 4, 2, 1));

    private static void Refused(LsmrOptions options, string sentence) =>
        Assert.That(() => Lsmr.Solve(A(), ones(6, float64), options), Throws.ArgumentException.With.Message.Contains(sentence));

    [Test]
    public void Options_out_of_range_are_refused()
    {
        Refused(new() { Damp = -1.0 }, "damp must be finite and not negative, but is -1.0e+00");
        Refused(new() { Damp = double.NaN }, "damp must be finite and not negative");
        Refused(new() { Damp = tensor(-2.0) }, "damp must be finite and not negative, but is -2.0e+00");
        Refused(new() { Atol = -1e-3 }, "Atol must be finite and not negative");
        Refused(new() { Btol = double.NaN }, "Btol must be finite and not negative");
        Refused(new() { ConditionLimit = 0.5 }, "ConditionLimit must be over 1");
        Refused(new() { MaxIterations = -1 }, "MaxIterations must not be negative");
        Refused(new() { Start = ones(5, float64) }, "x0 has shape (5) but the operator takes (4)");
        Refused(new() { Gradient = new() { Tolerance = -1 } }, "Tolerance must be finite and not negative");
        Assert.That(() => Lsmr.Solve(A(), ones(6, float64), new() { Damp = ones(2) }), Throws.ArgumentException.With.Message.Contains("0-dim tensor, but has shape (2)"));
    }

    [Test]
    public void A_right_hand_side_of_another_shape_or_dtype_is_refused()
    {
        Assert.That(() => linalg.lsmr(A(), ones(7, float64)), Throws.ArgumentException.With.Message.Contains("b has shape (7) but the operator returns (6)"));
        Assert.That(() => linalg.lsmr(A(), ones(6)), Throws.ArgumentException.With.Message.Contains("b has dtype Float32 but the operator has Float64"));
        Assert.That(() => linalg.lsmr(A(), ones(6, int64)), Throws.ArgumentException.With.Message.Contains("Int64"));
        Assert.That(() => linalg.lsmr(A(), null!), Throws.ArgumentNullException);
    }

    [Test]
    public void An_operator_of_the_wrong_shape_is_named_in_the_solve()
    {
        int calls = 0;
        LinearOperator wrong = LinearOperator.FromMatVec(v => calls++ == 0 ? zeros(6, float64) : v, [4], float64);
        Assert.That(() => linalg.lsmr(wrong, ones(6, float64)), Throws.ArgumentException.With.Message.Contains("returned shape (4) where the operator has (6)"));
    }

    [Test]
    public void Inference_mode_is_refused_with_a_sentence()
    {
        LinearOperator op = A();
        Tensor b = ones(6, float64);
        using (inference_mode())
            Assert.That(() => linalg.lsmr(op, b), Throws.InvalidOperationException.With.Message.Contains("Use torch.no_grad()"));
        Tensor inferred;
        using (inference_mode())
            inferred = ones(6, float64);
        Assert.That(linalg.lsmr(op, inferred).Converged, "an inference tensor is an input like any other, outside inference mode");
    }

    [Test]
    public void Solve_and_lsmr_are_the_same()
    {
        Tensor b = Problems.Random(2, 6);
        Tensor one = linalg.lsmr(A(), b, damp: 0.2).Solution, other = Lsmr.Solve(A(), b, new LsmrOptions { Damp = 0.2 }).Solution;
        Assert.That(Problems.Values(one), Is.EqualTo(Problems.Values(other)));
    }

    [Test]
    public void The_same_inputs_give_the_same_bits()
    {
        Tensor M = Problems.Matrix(300, 80, 100, 1, float32), b = Problems.Random(2, 300).to(float32);
        double[] Solve() => Problems.Values(linalg.lsmr(LinearOperator.FromMatrix(M), b).Solution);
        double[] once = Solve(), again = Solve();
        Assert.That(again, Is.EqualTo(once));
    }

    [Test]
    public void Results_read_the_same_in_every_culture()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        comma.NumberFormat.NumberDecimalSeparator = ",";
        try {
            CultureInfo.CurrentCulture = comma;
            LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(eye(2, dtype: float64)), tensor([1.5, 2.5], float64));
            Assert.That(result.ToString(), Does.Match(@"^LSMR stopped on Residual after 1 iterations: \|r\| = \d\.\de[+-]\d\d, \|A'r\| = \d\.\de[+-]\d\d, cond\(A\) >= 1\.0e\+00$"));
            Assert.That(() => Lsmr.Solve(A(), ones(6, float64), new() { Damp = -1.5 }), Throws.ArgumentException.With.Message.Contains("-1.5e+00"));
        } finally {
            CultureInfo.CurrentCulture = before;
        }
    }
}
