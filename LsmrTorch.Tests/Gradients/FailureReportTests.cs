using System.Runtime.InteropServices;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>The reason of a failed backward pass reaches the user, and what is no failure does not.</summary>
public class FailureReportTests
{
    /// <summary>Of a solve whose backward pass may do this many iterations, of the dozen that it needs.</summary>
    private static Tensor Failing(int iterations, Tensor? b = null)
    {
        b ??= Problems.Random(2, 12).requires_grad_();
        var options = new LsmrOptions { Gradient = new() { MaxIterations = iterations } };
        return Lsmr.Solve(LinearOperator.FromMatrix(Problems.Matrix(12, 8, 1e3, 1)), b, options).Solution.sum();
    }

    private static string Reason(int iterations) =>
        "A gradient through a least-squares solution failed: A solve for the gradients did not converge: "
        + $"CRAIGMR stopped on IterationLimit after {iterations} iterations";

    [Test]
    public void Gradients_of_the_library_throw_the_reason([Values] bool differentiable)
    {
        using var scope = NewDisposeScope();
        Tensor b = Problems.Random(2, 12).requires_grad_(), loss = Failing(2, b);
        LsmrException error = Assert.Throws<LsmrException>(() => Gradient.Of(loss, b))!;
        Assert.That(error.Message, Does.StartWith(Reason(2)));
        Assert.That(error.InnerException, Is.InstanceOf<LsmrException>());
        Assert.That(() => Gradient.Backward(loss),
            Throws.InstanceOf<LsmrException>().With.Message.StartsWith(Reason(2)));
        Assert.That(b.grad, Is.Null);
        if (differentiable)
            Assert.That(() => Gradient.Differentiable(loss, b),
                Throws.InstanceOf<LsmrException>().With.Message.Contains("GradientOptions.Order = 2"));
    }

    [Test]
    public void Each_failure_has_its_own_reason_whatever_failed_since()
    {
        using var scope = NewDisposeScope();
        ExternalException Native(int iterations) =>
            Assert.Throws<ExternalException>(() => Failing(iterations).backward())!;
        ExternalException[] failures = [.. Enumerable.Range(1, 5).Select(Native)];
        for (int i = 4; i >= 0; i--)
            Assert.That(BackwardPass.Explained(failures[i]).Message, Does.StartWith(Reason(i + 1)));
        for (int i = 0; i < 70; i++)        // reasons are not kept for ever
            Native(1);
        Assert.That(BackwardPass.Explained(failures[0]).Message,
            Does.StartWith("A backward pass failed: Function CSharpNode returned an invalid gradient"));
    }

    [Test]
    public void A_failure_inside_a_closure_that_solves_itself_is_told_from_the_outer_pass()
    {
        using var scope = NewDisposeScope();
        Tensor M = Problems.Matrix(12, 8, 1e3, 1), w = tensor(2.0, float64).requires_grad_();
        var inner = new LsmrOptions { Gradient = new() { MaxIterations = 1 } };
        // v -> M⁺(w v), whose gradient fails
        Tensor Product(Tensor v) => Lsmr.Solve(LinearOperator.FromMatrix(M), v.mul(w), inner).Solution;
        Tensor loss = Product(ones(12, float64)).sum();
        Assert.That(() => Gradient.Of(loss, w), Throws.InstanceOf<LsmrException>().With.Message.StartsWith(Reason(1)));
        // A solve with that product and autograd's transpose fails while it solves, as that is a backward pass of its
        // own.
        Assert.That(() => linalg.lsmr(LinearOperator.FromMatVec(Product, [12], float64), ones(8, float64)),
            Throws.InstanceOf<ExternalException>().Or.InstanceOf<LsmrException>());
    }

    [Test]
    public void An_error_of_libtorch_is_told_too()
    {
        using var scope = NewDisposeScope();
        Tensor x = ones(3).requires_grad_(), y = x * 1, loss = y.square().sum();
        y.mul_(2);
        Assert.That(() => Gradient.Of(loss, x),
            Throws.InstanceOf<LsmrException>().With.Message.Contains("was changed in place before it"));
        Assert.That(() => Gradient.Of(x.sum(), [ones(2)]),
            Throws.InstanceOf<LsmrException>(), "an input that requires no gradient");
        Assert.That(() => Gradient.Of(x, x),
            Throws.ArgumentException.With.Message.Contains("must have one entry, but has shape (3)"));
        Assert.That(() => Gradient.Backward(x),
            Throws.ArgumentException.With.Message.Contains("must have one entry, but has shape (3)"));
        Assert.That(() => Gradient.Backward(ones(1)),
            Throws.ArgumentException.With.Message.Contains("does not require a gradient"));
    }

    [Test]
    public void Backward_adds_to_the_leaves_and_frees_or_keeps_the_graph()
    {
        using var scope = NewDisposeScope();
        Tensor b = Problems.Random(2, 12).requires_grad_(), M = Problems.Matrix(12, 8, 5, 1);
        Tensor expected = linalg.pinv(M).t().mv(ones(8, float64));
        Tensor Loss() => linalg.lsmr(LinearOperator.FromMatrix(M), b).Solution.sum();
        Check.LeavesNoTensors(() => {
            using var inner = NewDisposeScope();
            Gradient.Backward(Loss());
        });
        Check.Close(b.grad!, expected, 1e-9, "dL/db");
        Tensor loss = Loss().exp();
        Gradient.Backward(loss, retainGraph: true);
        Gradient.Backward(loss);
        Check.Close(b.grad!, expected + expected * loss.detach() * 2, 1e-9, "dL/db, added");
        Assert.That(() => Gradient.Backward(loss), Throws.InstanceOf<LsmrException>(), "the graph is freed");
    }

    [Test]
    public void With_a_listener_nothing_is_written_and_without_one_each_kind_of_reason_once()
    {
        using var scope = NewDisposeScope();
        TextWriter before = Console.Error;
        using var written = new StringWriter();
        var warnings = new List<string>();
        Console.SetError(written);
        try {
            Diagnostics.Forget();
            Diagnostics.Warning += warnings.Add;
            try {
                Assert.That(() => Failing(3).backward(), Throws.InstanceOf<ExternalException>());
            } finally {
                Diagnostics.Warning -= warnings.Add;
            }
            Assert.That(written.ToString(), Is.Empty);
            Assert.That(warnings, Has.Count.EqualTo(1).And.All.StartsWith(Reason(3)));

            Assert.That(() => Failing(3).backward(), Throws.InstanceOf<ExternalException>());
            Assert.That(() => Failing(4).backward(), Throws.InstanceOf<ExternalException>());
            Assert.That(written.ToString().Trim(), Does.StartWith("LsmrTorch: " + Reason(3)).And.Not.Contain("\n"));
            Diagnostics.Warn("A hint, which is no failure.");
            Tensor b = Problems.Random(2, 12).requires_grad_();
            var options = new LsmrOptions { Gradient = new() { MaxIterations = 2, WhenUnconverged = Unconverged.NaN } };
            Lsmr.Solve(LinearOperator.FromMatrix(Problems.Matrix(12, 8, 1e3, 1)), b, options).Solution.sum().backward();
            string[] lines = written.ToString().Trim().Split('\n');
            Assert.That(lines, Has.Length.EqualTo(2));
            Assert.That(lines[1], Does.StartWith("LsmrTorch: Gradients through a least-squares solution are NaN: "));

            for (char kind = 'a'; kind <= 'z'; kind++)
                Diagnostics.Fail($"A reason of kind {kind}.");
            lines = written.ToString().Trim().Split('\n');
            Assert.That(lines, Has.Length.EqualTo(20), "kinds are bounded");
            Assert.That(lines[^1], Does.Contain("Further reasons are not written"));
        } finally {
            Console.SetError(before);
            Diagnostics.Forget();
        }
    }

    [Test]
    public void A_user_who_calls_backward_reads_the_reason_on_standard_error()
    {
        (string output, string error) = ChildProcess.Run(nameof(FailTwice));
        Assert.That(output, Does.Contain("got [3]").And.Contain("got [4]"), "the native exceptions");
        Assert.That(error.Split('\n', StringSplitOptions.RemoveEmptyEntries),
            Has.Length.EqualTo(1).And.All.StartsWith("LsmrTorch: " + Reason(2)));
    }

    internal static void FailTwice()
    {
        using var scope = NewDisposeScope();
        for (int i = 0; i < 2; i++) {
            try {
                Failing(2).backward();
            } catch (ExternalException native) {
                Console.WriteLine(native.Message);
            }
        }
    }

    [Test]
    [Platform("Linux")]
    public void The_warning_of_libtorch_about_create_graph_does_not_reach_standard_error()
    {
        (string output, string error) = ChildProcess.Run(nameof(DifferentiateTwice));
        Assert.That(output.Trim(), Is.EqualTo("12; the log level is 1 and 1"));
        Assert.That(error, Is.Empty);
    }

    // d²/dx² x³ at 2, after a product of a Jacobian.
    internal static void DifferentiateTwice()
    {
        using var scope = NewDisposeScope();
        int before = LogLevel();
        Tensor x = tensor(new double[] { 2 }).requires_grad_();
        LinearOperator.Jacobian(z => z.square(), x.detach()).Apply(ones(1, float64));
        Tensor once = Gradient.Differentiable(x.pow(3).sum(), x)[0], twice = Gradient.Of(once.sum(), x)[0];
        Console.WriteLine($"{twice.item<double>()}; the log level is {before} and {LogLevel()}");
    }

    private static int LogLevel() =>
        Marshal.ReadInt32(NativeLibrary.GetExport(
            NativeLibrary.Load(Path.Combine(AppContext.BaseDirectory, "libc10.so")), "FLAGS_caffe2_log_level"));
}
