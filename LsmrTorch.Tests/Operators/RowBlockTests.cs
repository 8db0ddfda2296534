using System.Runtime.InteropServices;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>A matrix of rows that are computed when they are used, beside the same matrix as a whole.</summary>
public class RowBlockTests
{
    private const long M = 23, N = 6;           // blocks of 5: the last has 3 rows

    // exp(−(t_i − p_j)² θ_0) + θ_1 δ: depends on both parameters, with independent columns.
    private static Tensor Rows(IReadOnlyList<Tensor> p, long first, long count)
    {
        Tensor t = linspace(-1, 1, M, dtype: float64).unsqueeze(1).narrow(0, first, count), d = t - linspace(-0.9, 1.1, N, dtype: float64);
        return (-(d * d) * p[0]).exp() + p[1] * (3 * t * arange(N, float64)).sin();
    }

    private static (Tensor Width, Tensor Height) Parameters() =>
        (tensor(7.0, float64).requires_grad_(), tensor(0.3, float64).requires_grad_());

    private static LinearOperator Blocks(Tensor width, Tensor height, long blockRows = 5) =>
        LinearOperator.FromRowBlocks(Rows, [width, height], M, blockRows);

    [Test]
    public void Products_are_those_of_the_whole_matrix([Values(1, 5, 23, 100)] long blockRows, [Values] bool columns)
    {
        using var scope = NewDisposeScope();
        (Tensor width, Tensor height) = Parameters();
        Tensor whole = Rows([width, height], 0, M).detach();
        LinearOperator A = Blocks(width, height, blockRows);
        Tensor v = columns ? randn(N, 3, float64) : randn(N, float64), u = columns ? randn(M, 3, float64) : randn(M, float64);
        Check.Close(columns ? A.MatVecs(v) : A.Apply(v), whole.matmul(v), 1e-14, "A v");
        Check.Close(columns ? A.VecMats(u) : A.ApplyTranspose(u), whole.t().matmul(u), 1e-14, "A'u");
        using var guard = no_grad();
        Check.Close(A.Norms()!.Value.Columns, whole.norm(0, false, 2f), 1e-14, "column norms");
        Check.Close(A.Norms()!.Value.Rows, whole.norm(1, false, 2f), 1e-14, "row norms");
        A.Verify();
    }

    [Test]
    public void A_fused_step_is_both_products([Values] bool single)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        ScalarType dtype = single ? float32 : float64;
        Tensor whole = randn(M, N, float64).to(dtype);
        LinearOperator A = LinearOperator.FromRowBlocks((p, first, count) => p[0].narrow(0, first, count), [whole], M, 5);
        Tensor v = randn(N, dtype), u = randn(M, dtype), image = zeros(N, dtype);
        Tensor expected = whole.mv(v) - 0.7 * u;
        double norm = A.FusedStep(v, u, 0.7, image);
        double tolerance = 20 * (single ? 1.2e-7 : 2.2e-16);
        Check.Close(u, expected, tolerance, "u");
        Check.Close(image, whole.t().mv(expected), tolerance, "A'u");
        Assert.That(norm, Is.EqualTo(expected.to(float64).norm().item<double>()).Within(100 * tolerance).Percent);
    }

    [Test]
    public void Gradients_of_products_are_those_of_the_whole_matrix([Values] bool transposed, [Values] bool columns)
    {
        using var scope = NewDisposeScope();
        (Tensor width, Tensor height) = Parameters();
        long length = transposed ? M : N;
        Tensor x = (columns ? randn(length, 3, float64) : randn(length, float64)).requires_grad_();
        LinearOperator A = Blocks(width, height);
        Tensor product = transposed ? (columns ? A.VecMats(x) : A.ApplyTranspose(x)) : columns ? A.MatVecs(x) : A.Apply(x);
        Tensor cotangent = randn(product.shape, float64);
        Tensor[] found = Gradient.Of((product * cotangent).sum(), width, height, x);
        Tensor whole = Rows([width, height], 0, M);
        Tensor[] expected = Gradient.Of(((transposed ? whole.t() : whole).matmul(x) * cotangent).sum(), width, height, x);
        for (int i = 0; i < 3; i++)
            Check.Close(found[i], expected[i], 1e-13, $"gradient {i}");
    }

    [Test]
    public void Gradients_of_a_solution_are_those_of_the_whole_matrix([Values(0, 0.2)] double damp, [Values] bool wide, [Values] bool columns)
    {
        using var scope = NewDisposeScope();
        (Tensor width, Tensor height) = Parameters();
        Tensor whole = Rows([width, height], 0, M);
        LinearOperator A = Blocks(width, height), B = LinearOperator.FromMatrix(whole);
        (A, B) = wide ? (A.T, B.T) : (A, B);
        long rows = wide ? N : M;
        Tensor b = columns ? randn(rows, 2, float64) : randn(rows, float64);
        var options = new LsmrOptions { Damp = damp, Atol = 1e-14, Btol = 1e-14, Gradient = new() { Tolerance = 1e-14 } };
        Tensor[] found = Gradient.Of(Lsmr.Solve(A, b, options).Solution.cos().sum(), width, height);
        Tensor[] expected = Gradient.Of(Lsmr.Solve(B, b, options).Solution.cos().sum(), width, height);
        // Two solves of a problem with cond(A) of some tens, each to about 1e-13 of what stands in the gradient.
        for (int i = 0; i < 2; i++)
            Check.Close(found[i], expected[i], 1e-10, $"gradient {i}");
        double[] differences = CentralDifferences(b, damp, wide);
        Assert.That(found[0].item<double>(), Is.EqualTo(differences[0]).Within(1e-6 * Math.Abs(differences[0]) + 1e-7));
        Assert.That(found[1].item<double>(), Is.EqualTo(differences[1]).Within(1e-6 * Math.Abs(differences[1]) + 1e-7));
    }

    // Of Σ cos x with dense algebra; h = 1e-5 leaves h² and eps/h times the condition, both near 1e-9.
    private static double[] CentralDifferences(Tensor b, double damp, bool wide)
    {
        const double H = 1e-5;
        return [(Loss(7 + H, 0.3) - Loss(7 - H, 0.3)) / (2 * H), (Loss(7, 0.3 + H) - Loss(7, 0.3 - H)) / (2 * H)];

        double Loss(double width, double height)
        {
            using var guard = no_grad();
            Tensor whole = Rows([tensor(width), tensor(height)], 0, M);
            whole = wide ? whole.t() : whole;
            long n = whole.shape[1];
            Tensor stacked = damp == 0 ? whole : cat([whole, damp * eye(n, n, float64)]);
            Tensor padded = damp == 0 ? b : cat([b, zeros([n, .. b.shape[1..]], float64)]);
            return linalg.pinv(stacked).matmul(padded).cos().sum().item<double>();
        }
    }

    [Test]
    public void A_backward_pass_holds_a_few_blocks_however_many_rows_there_are()
    {
        const long Long = 4000, Height = 10;
        long live = 0, largest = 0;
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (NewDisposeScope()) {
            Tensor theta = ones([N], float64).requires_grad_();
            LinearOperator A = LinearOperator.FromRowBlocks((p, first, count) => {
                live = Math.Max(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount - before);
                largest = Math.Max(largest, count);
                return ((first + arange(count, float64)).unsqueeze(1) * (1 + arange(N, float64)) * 0.01 * p[0]).cos();
            }, [theta], Long, Height);
            Tensor b = ones(Long, float64);
            Gradient.Of(Lsmr.Solve(A, b, new LsmrOptions { Damp = 1 }).Solution.square().sum(), theta);
        }
        Assert.That(largest, Is.EqualTo(Height));
        Assert.That(live, Is.LessThan(150), "live tensors while a block is made, of 400 blocks with several each");
        Assert.That(DisposeScopeManager.Statistics.ThreadTotalLiveCount, Is.EqualTo(before));
    }

    [Test]
    public void Every_live_tensor_is_one_that_is_returned()
    {
        using var scope = NewDisposeScope();
        (Tensor width, Tensor height) = Parameters();
        LinearOperator A = null!;
        Check.LeavesNoTensors(() => A = Blocks(width, height));
        Tensor v = randn(N, float64), u = randn(M, float64);
        Check.LeavesNoTensors(() => A.Apply(v), 1);
        Check.LeavesNoTensors(() => A.ApplyTranspose(u), 1);
        Tensor loss = A.Apply(v).sum();
        Check.LeavesNoTensors(() => Gradient.Of(loss, width), 1);
    }

    [Test]
    public void A_tensor_that_is_not_among_the_parameters_is_refused()
    {
        using var scope = NewDisposeScope();
        (Tensor width, Tensor height) = Parameters();
        var error = Assert.Throws<ArgumentException>(() => LinearOperator.FromRowBlocks((p, first, count) => Rows([p[0], height], first, count), [width], M, 5));
        Assert.That(error!.Message, Does.Contain("not among its parameters"));
    }

    [Test]
    public void Misuse_is_told_with_the_value()
    {
        using var scope = NewDisposeScope();
        Tensor x = ones(4, 3, float64);
        static LinearOperator Make(Tensor x, RowBlock rows, long m = 4, long height = 2) => LinearOperator.FromRowBlocks(rows, [x], m, height);
        RowBlock right = (p, first, count) => p[0].narrow(0, first, count);
        Assert.That(() => Make(x, right, 0), Throws.ArgumentException.With.Message.Contains("at least 1 row, but has 0"));
        Assert.That(() => Make(x, right, 4, 0), Throws.ArgumentException.With.Message.Contains("at least 1 row, but has 0"));
        Assert.That(() => Make(x, (p, _, _) => p[0][0]), Throws.ArgumentException.With.Message.Contains("(3)"));
        Assert.That(() => Make(x, (p, _, _) => p[0][..1].to(int64)), Throws.ArgumentException.With.Message.Contains("Int64"));
        LinearOperator A = Make(x, (p, _, _) => p[0][..1]);
        Assert.That(() => A.Apply(ones(3, float64)), Throws.ArgumentException.With.Message.Contains("(1, 3) where (2, 3)"));
    }

    [Test]
    public void A_second_derivative_is_refused_with_a_sentence([Values] bool ofSolution)
    {
        using var scope = NewDisposeScope();
        (Tensor width, Tensor height) = Parameters();
        LinearOperator A = Blocks(width, height);
        var warnings = new List<string>();
        void Listen(string sentence) => warnings.Add(sentence);
        Diagnostics.Warning += Listen;
        try {
            Tensor y = ofSolution
                ? Lsmr.Solve(A, ones(M, float64), new LsmrOptions { Damp = 0.1, Gradient = new() { Order = 2 } }).Solution
                : A.Apply(ones(N, float64));
            Assert.Throws<LsmrException>(() => Gradient.Differentiable(y.square().sum(), width));
        } finally {
            Diagnostics.Warning -= Listen;
        }
        Assert.That(string.Join(' ', warnings), Does.Contain("Second derivatives").And.Contain("row blocks"));
    }
}
