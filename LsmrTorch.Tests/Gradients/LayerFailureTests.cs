using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>What goes wrong in a backward pass leaves it as an exception, and says why.</summary>
public class LayerFailureTests
{
    private readonly List<string> warnings = [];

    [SetUp]
    public void Listen()
    {
        warnings.Clear();
        Diagnostics.Warning += warnings.Add;
    }

    [TearDown]
    public void StopListening() => Diagnostics.Warning -= warnings.Add;

    private static LsmrResult Solve(Tensor A, Tensor b, GradientOptions gradient, Damping damp = default, int? iterations = null) =>
        Lsmr.Solve(LinearOperator.FromMatrix(A), b, new LsmrOptions { Gradient = gradient, Damp = damp, MaxIterations = iterations });

    [Test]
    public void A_backward_solve_that_does_not_converge_throws_from_backward_and_the_next_one_works()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(12, 8, 1e3, 1), b = Problems.Random(2, 12).requires_grad_();
        Tensor loss = Solve(A, b, new GradientOptions { MaxIterations = 1 }).Solution.sum();
        Assert.That(() => loss.backward(), Throws.InstanceOf<ExternalException>());
        Assert.That(warnings, Has.Some.Contains("did not converge: CRAIGMR stopped on IterationLimit after 1 iterations"));
        Solve(A, b, new GradientOptions()).Solution.sum().backward();
        Check.Close(b.grad!, linalg.pinv(A).t().mv(ones(8, float64)), 1e-5, "dL/db"); // cond^2 times 1e-12
    }

    [Test]
    public void A_failure_throws_also_when_only_a_0_dim_tensor_needs_a_gradient()
    {
        using var scope = NewDisposeScope();
        Tensor damp = tensor(1e-3, float64).requires_grad_();
        Tensor loss = Solve(Problems.Matrix(12, 8, 1e3, 1), Problems.Random(2, 12), new GradientOptions { MaxIterations = 1 }, damp).Solution.sum();
        Assert.That(() => loss.backward(), Throws.InstanceOf<ExternalException>());
        Assert.That(() => Gradient.Of(loss, damp), Throws.InstanceOf<LsmrException>());
    }

    [Test]
    public void Unconverged_gradients_are_NaN_with_a_warning_or_accepted_if_asked()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(12, 8, 1e3, 1), b = Problems.Random(2, 12).requires_grad_();
        Tensor nan = Gradient.Of(Solve(A, b, new GradientOptions { MaxIterations = 2, WhenUnconverged = Unconverged.NaN }).Solution.sum(), b)[0];
        Assert.That(Problems.Values(nan), Is.All.NaN);
        Assert.That(warnings, Has.Count.EqualTo(1).And.Some.Contains("are NaN"));
        Tensor accepted = Gradient.Of(Solve(A, b, new GradientOptions { MaxIterations = 2, WhenUnconverged = Unconverged.Accept }).Solution.sum(), b)[0];
        Assert.That(Problems.Values(accepted), Has.None.NaN.And.Some.Not.Zero);
    }

    [Test]
    public void An_unconverged_forward_solve_is_not_trained_through_unless_accepted()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(12, 8, 1e3, 1), b = Problems.Random(2, 12).requires_grad_();
        Assert.That(() => Solve(A, b, new GradientOptions(), iterations: 2), Throws.InstanceOf<LsmrException>().With.Message.Contains("IterationLimit"));
        Assert.That(Solve(A, b.detach(), new GradientOptions(), iterations: 2).Stop, Is.EqualTo(LsmrStop.IterationLimit), "a plain solve reports");
        using (no_grad())
            Assert.That(Solve(A, b, new GradientOptions(), iterations: 2).Stop, Is.EqualTo(LsmrStop.IterationLimit), "no_grad reports");
        Tensor nan = Gradient.Of(Solve(A, b, new GradientOptions { WhenUnconverged = Unconverged.NaN }, iterations: 2).Solution.sum(), b)[0];
        Assert.That(Problems.Values(nan), Is.All.NaN);
        Tensor accepted = Gradient.Of(Solve(A, b, new GradientOptions { WhenUnconverged = Unconverged.Accept }, iterations: 2).Solution.sum(), b)[0];
        Assert.That(Problems.Values(accepted), Has.None.NaN);
    }

    [Test]
    public void Second_derivatives_are_refused()
    {
        using var scope = NewDisposeScope();
        Tensor b = Problems.Random(2, 12).requires_grad_();
        Tensor loss = Solve(Problems.Matrix(12, 8, 10, 1), b, new GradientOptions()).Solution.square().sum();
        Assert.That(() => loss.backward(create_graph: true), Throws.InstanceOf<ExternalException>());
        Assert.That(warnings, Has.Some.Contains("Second derivatives (create_graph: true)"));
    }

    [Test]
    public void A_matrix_changed_in_place_before_backward_is_an_error_and_not_a_wrong_gradient([Values] bool matrixNeedsGrad)
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(12, 8, 10, 1), b = Problems.Random(2, 12).requires_grad_();
        A.requires_grad_(matrixNeedsGrad);
        Tensor loss = Solve(A, b, new GradientOptions()).Solution.sum();
        using (no_grad())
            A.mul_(2);
        Assert.That(() => loss.backward(), Throws.InstanceOf<ExternalException>());
    }

    [Test]
    public void A_closure_with_dependent_columns_that_was_promised_to_have_none_says_so()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(12, 8, 5, 1, deficient: true).requires_grad_();
        LinearOperator op = LinearOperator.FromMatVec(v => A.mv(v), [8], float64);
        var options = new LsmrOptions { Gradient = new GradientOptions { FullColumnRank = true } };
        Tensor loss = Lsmr.Solve(op, Problems.Random(2, 12), options).Solution.sum();
        Assert.That(() => loss.backward(), Throws.InstanceOf<ExternalException>());
        Assert.That(warnings, Has.Some.Contains("dependent columns"));
    }

    [Test]
    public void A_closure_that_throws_in_the_backward_pass_does_not_end_the_process()
    {
        using var scope = NewDisposeScope();
        Tensor A = Problems.Matrix(12, 8, 5, 1), b = Problems.Random(2, 12).requires_grad_();
        bool broken = false;
        LinearOperator op = LinearOperator.FromMatVec(v => broken ? throw new IOException("the disk is gone") : A.mv(v), [8], float64);
        Tensor loss = linalg.lsmr(op, b).Solution.sum();
        broken = true;
        Assert.That(() => loss.backward(), Throws.InstanceOf<ExternalException>());
        Assert.That(warnings, Has.Some.Contains("the disk is gone"));
    }

    [Test]
    public void A_listener_that_throws_is_dropped()
    {
        using var scope = NewDisposeScope();
        static void Throwing(string sentence) => throw new InvalidOperationException(sentence);
        Diagnostics.Warning += Throwing;
        try {
            Tensor b = Problems.Random(2, 12).requires_grad_();
            Tensor loss = Solve(Problems.Matrix(12, 8, 1e3, 1), b, new GradientOptions { MaxIterations = 1 }).Solution.sum();
            Assert.That(() => loss.backward(), Throws.InstanceOf<ExternalException>());
        } finally {
            Diagnostics.Warning -= Throwing;
        }
    }
}
