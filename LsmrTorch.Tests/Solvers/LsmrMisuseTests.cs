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
        Refused(new() { ConditionLimit = 0.5 }, "ConditionLimit must be at least 1, or 0 for no limit, but is 0.5.");
        Refused(new() { ConditionLimit = -1 }, "ConditionLimit must be at least 1, or 0 for no limit, but is -1.");
        Refused(new() { ConditionLimit = double.NaN },
            "ConditionLimit must be at least 1, or 0 for no limit, but is NaN.");
        Refused(new() { MaxIterations = -1 }, "MaxIterations must not be negative");
        Refused(new() { Start = ones(5, float64) },
            "x0 has shape (5) but the operator takes (4), or (4, k) for b with k columns.");
        Refused(new() { Gradient = new() { Tolerance = -1 } }, "Tolerance must be finite and not negative");
        Assert.That(() => Lsmr.Solve(A(), ones(6, float64), new() { Damp = ones(2) }), Throws.ArgumentException.With.Message.Contains("0-dim tensor, but has shape (2)"));
    }

    [Test]
    public void What_linalg_lsmr_refuses_is_named_as_its_parameters_are()
    {
        void Named(string name, string sentence, Func<LsmrResult> solve)
        {
            ArgumentException error = Assert.Throws<ArgumentException>(() => solve())!;
            Assert.That(error.Message, Does.StartWith(sentence));
            Assert.That(error.ParamName, Is.EqualTo(name));
        }
        Tensor b = ones(6, float64);
        Named("atol", "atol must be finite and not negative, but is -1.0e-03", () => linalg.lsmr(A(), b, atol: -1e-3));
        Named("btol", "btol must be finite and not negative, but is NaN", () => linalg.lsmr(A(), b, btol: double.NaN));
        Named("conlim", "conlim must be at least 1, or 0 for no limit, but is 0.5.",
            () => linalg.lsmr(A(), b, conlim: 0.5));
        Named("conlim", "conlim must be at least 1, or 0 for no limit, but is -1.",
            () => linalg.lsmr(A(), b, conlim: -1));
        Named("conlim", "conlim must be at least 1, or 0 for no limit, but is NaN.",
            () => linalg.lsmr(A(), b, conlim: double.NaN));
        Named("maxiter", "maxiter must not be negative, but is -1.", () => linalg.lsmr(A(), b, maxiter: -1));
        Named("damp", "damp must be finite and not negative, but is -1.0e+00", () => linalg.lsmr(A(), b, damp: -1));
        Named("x0", "x0 has shape (5) but the operator takes (4)", () => linalg.lsmr(A(), b, x0: ones(5, float64)));
        Named("b", "b has shape (7) but the operator returns (6)", () => linalg.lsmr(A(), ones(7, float64)));
    }

    [Test]
    public void A_shape_that_does_not_fit_names_the_shapes_of_columns_too()
    {
        using var scope = NewDisposeScope();
        LinearOperator op = A();
        void Said(string sentence, Action act) =>
            Assert.That(() => act(), Throws.ArgumentException.With.Message.StartsWith(sentence));
        Said("b has shape (3, 6) but the operator returns (6), or (6, k) for k columns, k > 0.",
            () => linalg.lsmr(op, ones([3, 6], float64)));
        Said("b has shape (6, 0) but the operator returns (6), or (6, k) for k columns, k > 0.",
            () => linalg.lsmr(op, ones([6, 0], float64)));
        Said("x0 has shape (4, 2) but the operator takes (4), or (4, k) for b with k columns.",
            () => linalg.lsmr(op, ones(6, float64), x0: ones([4, 2], float64)));
        Said("x0 has shape (4) but the operator takes, with b's columns, (4, 2).",
            () => linalg.lsmr(op, ones([6, 2], float64), x0: ones(4, float64)));
        Said("v has shape (2, 4) but the operator takes (4), or (4, k) for k columns, k > 0.",
            () => op.Apply(ones([2, 4], float64)));
        Said("u has shape (4) but the operator returns (6), or (6, k) for k columns, k > 0.",
            () => op.ApplyTranspose(ones(4, float64)));
        Said("b has shape (2, 6) but the operator returns (6), or (6, k) for k columns, k > 0.",
            () => Craigmr.Solve(op, ones([2, 6], float64)));
        Said("v has shape (3) but the operator takes (2, 3), or (2, 3, k) for k columns, k > 0.",
            () => LinearOperator.Identity([2, 3]).Apply(ones(3)));
    }

    [TestCase(0)]
    [TestCase(double.PositiveInfinity)]
    public void A_condition_limit_of_zero_or_infinity_is_none(double limit)
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(30, 10, 1e10, 1), x = ones(10, float64), b = M.mv(x);
        LsmrResult limited = linalg.lsmr(LinearOperator.FromMatrix(M), b, atol: 0, btol: 0, conlim: 1e4, maxiter: 1000);
        Assert.That(limited.Stop, Is.EqualTo(LsmrStop.IllConditioned));
        LsmrResult unlimited = linalg.lsmr(LinearOperator.FromMatrix(M), b, atol: 0, btol: 0, conlim: limit,
            maxiter: 1000);
        Assert.That(unlimited.Stop, Is.Not.EqualTo(LsmrStop.IllConditioned));
        Assert.That(Vectors.Norm(M.mv(unlimited.Solution) - b),
            Is.LessThan(1e-2 * Vectors.Norm(M.mv(limited.Solution) - b)));
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
