using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>
/// Closures that write each result to the same memory give what closures of new tensors give, everywhere.
/// </summary>
public class BufferedClosureTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    public enum Buffer { Wrapper, NewWrapper, View, Two, Shared }

    private static Tensor M => Problems.Matrix(6, 6, 5, 1);
    private static Tensor N => Problems.Matrix(6, 6, 7, 9);

    /// <summary>x ↦ op(x), into memory that is used again.</summary>
    private static Func<Tensor, Tensor> Buffered(Func<Tensor, Tensor> op, Buffer kind, Tensor shared)
    {
        Tensor one = zeros(6, float64), two = zeros(6, float64);
        long calls = 0;
        return x => {
            Tensor into = kind switch { Buffer.Shared => shared, Buffer.Two when calls++ % 2 == 0 => two, _ => one };
            Tensor written = into.copy_(op(x));
            return kind is Buffer.Wrapper or Buffer.Shared ? into
                : kind == Buffer.View ? into.view(2, 3).view(6)
                : written;
        };
    }

    private static (LinearOperator A, LinearOperator B) Operators(Buffer kind)
    {
        Tensor shared = zeros(6, float64);
        LinearOperator Of(Tensor K) => LinearOperator.FromMatVec(
            Buffered(v => K.mv(v), kind, shared), Buffered(u => K.t().mv(u), kind, shared), [6], float64);
        return (Of(M), Of(N));
    }

    [Test]
    public void Products_stay_as_they_were([Values] Buffer kind)
    {
        (LinearOperator A, LinearOperator _) = Operators(kind);
        Tensor v = Problems.Random(1, 6), w = Problems.Random(2, 6);
        Tensor Av = A.Apply(v), Aw = A.Apply(w), Atv = A.ApplyTranspose(v);
        A.ApplyTranspose(w);
        Check.Close(Av, M.mv(v), 1e-14, "A v");
        Check.Close(Aw, M.mv(w), 1e-14, "A w");
        Check.Close(Atv, M.t().mv(v), 1e-14, "A'v");
        Av.fill_(7);
        Check.Close(A.Apply(w), M.mv(w), 1e-14, "A w after A v was written to");
        Check.Close(A.Apply(eye(6, dtype: float64)), M, 1e-14, "A I");
        Check.Close(A.ApplyTranspose(eye(6, dtype: float64)), M.t(), 1e-14, "A'I");
        Assert.DoesNotThrow(() => A.Verify());
    }

    [Test]
    public void Compositions_are_those_of_the_matrices([Values] Buffer kind, [Values] bool isRecorded,
        [Values] bool isBlock)
    {
        (LinearOperator A, LinearOperator B) = Operators(kind);
        Tensor I = eye(6, dtype: float64), zero = zeros(6, 6, float64);
        (string, LinearOperator, Tensor)[] all = [
            ("A + B", A + B, M + N), ("A + A", A + A, M + M), ("A * B", A * B, M.mm(N)), ("A * A", A * A, M.mm(M)),
            ("2A", 2 * A, M * 2), ("A.T", A.T, M.t()), ("A + B + A", A + B + A, M + N + M),
            ("[A*B; A+B]", LinearOperator.Stack(A * B, A + B), cat([M.mm(N), M + N])),
            ("[A; B; A]", LinearOperator.Stack(A, B, A), cat([M, N, M])),
            ("[A; I]", LinearOperator.Stack(A, LinearOperator.Identity([6], float64)), cat([M, I])),
            ("diag(A, B)", LinearOperator.BlockDiagonal(A, B), cat([cat([M, zero], 1), cat([zero, N], 1)])),
            ("[A]", LinearOperator.Stack(A), M),
            ("A + J", A + LinearOperator.Jacobian(x => A.Apply(x), zeros(6, float64)), M + M),
            ("diag(A)", LinearOperator.BlockDiagonal(A), M),
            ("A + I", A + LinearOperator.Identity([6], float64), M + I),
            ("I + A", LinearOperator.Identity([6], float64) + A, M + I),
            ("A * D", A * LinearOperator.Diagonal(N[0]), M * N[0]),
            ("A.T * A + I", A.T * A + LinearOperator.Identity([6], float64), M.t().mm(M) + I),
        ];
        using IDisposable? guard = isRecorded ? null : no_grad();
        foreach ((string name, LinearOperator op, Tensor dense) in all) {
            Tensor v = isBlock ? Problems.Random(1, dense.shape[1], 3) : Problems.Random(1, dense.shape[1]);
            Tensor u = isBlock ? Problems.Random(2, dense.shape[0], 3) : Problems.Random(2, dense.shape[0]);
            Tensor first = op.Apply(v), back = op.ApplyTranspose(u);
            op.Apply(v * 3);
            op.ApplyTranspose(u * 3);
            Check.Close(first, dense.matmul(v), 1e-13, $"{name} v");
            Check.Close(back, dense.t().matmul(u), 1e-13, $"({name})'u");
            Assert.DoesNotThrow(() => op.Verify(), name);
        }
    }

    [Test]
    public void Solves_are_those_of_the_matrices([Values] Buffer kind, [Values(0.0, 0.4)] double damp,
        [Values] bool isBlock, [Values(0, 3)] int window)
    {
        (LinearOperator A, LinearOperator B) = Operators(kind);
        Tensor b = isBlock ? Problems.Random(3, 6, 2) : Problems.Random(3, 6);
        Tensor Dense(Tensor K) => isBlock
            ? stack([Problems.Solve(K, b.select(1, 0), damp, null), Problems.Solve(K, b.select(1, 1), damp, null)], 1)
            : Problems.Solve(K, b, damp, null);
        var options = new LsmrOptions { Damp = damp, Reorthogonalise = window };
        Check.Close(Lsmr.Solve(A, b, options).Solution, Dense(M), 1e-8, "x of A");
        Check.Close(Lsmr.Solve(A + B, b, options).Solution, Dense(M + N), 1e-8, "x of A + B");
        Check.Close(Lsmr.Solve(A * B, b, options).Solution, Dense(M.mm(N)), 1e-7, "x of A B");
        using var warm = new WarmStart();
        for (int i = 0; i < 2; i++)
            Check.Close(Lsmr.Solve(A, b, options with { WarmStart = warm }).Solution, Dense(M), 1e-8,
                "x from a warm start");
        LinearOperator P = Preconditioner.ColumnScaling(A, damp);
        Check.Close(Lsmr.Solve(A, b, options with { Preconditioner = P }).Solution, Dense(M), 1e-8,
            "x with a preconditioner");
        Check.Close(Lsmr.Solve(LinearOperator.FromMatrix(M), b, options with { Preconditioner = B }).Solution, Dense(M),
            1e-8, "x with B as the preconditioner");
        Tensor y = Craigmr.Solve(A, b, new CraigmrOptions { Damp = 0.5, Tolerance = 1e-12 }).Multiplier;
        Check.Close(y, linalg.solve(M.mm(M.t()) + 0.25 * eye(6, dtype: float64), b), 1e-8, "y of CRAIGMR");
    }

    [Test]
    public void Gradients_are_those_of_the_matrix([Values] Buffer kind, [Values(0.0, 0.4)] double damp,
        [Values] bool hasTranspose)
    {
        Tensor c = Problems.Random(4, 6), b0 = Problems.Random(3, 6), shared = zeros(6, float64);
        (Tensor OfM, Tensor OfB) Gradients(bool isBuffered)
        {
            Tensor K = M.clone().requires_grad_(), b = b0.clone().requires_grad_();
            Func<Tensor, Tensor> matvec = v => K.mv(v), vecmat = u => K.t().mv(u);
            if (isBuffered)
                (matvec, vecmat) = (Buffered(matvec, kind, shared), Buffered(vecmat, kind, shared));
            LinearOperator A = hasTranspose ? LinearOperator.FromMatVec(matvec, vecmat, [6], float64)
                : LinearOperator.FromMatVec(matvec, [6], float64);
            LsmrResult result = Lsmr.Solve(A, b, new LsmrOptions { Damp = damp });
            result.Solution.mul(c).sum().backward();
            return (K.grad!, b.grad!);
        }
        (Tensor ofM, Tensor ofB) = Gradients(true);
        (Tensor expectedM, Tensor expectedB) = Gradients(false);
        Check.Close(ofB, expectedB, 1e-9, "gradient to b");
        Check.Close(ofM, expectedM, 1e-9, "gradient to M");
        Tensor Loss(Tensor K) => Problems.Solve(K, b0, damp, null).dot(c);
        Tensor change = Problems.Random(5, 6, 6) * 1e-6;
        double quotient = (Loss(M + change) - Loss(M - change)).item<double>() / 2;
        Assert.That((ofM * change).sum().item<double>(), Is.EqualTo(quotient).Within(1e-5 * Math.Abs(quotient) + 1e-13),
            "difference quotient");
    }

    [Test]
    public void A_function_of_a_jacobian_may_return_one_buffer()
    {
        Tensor at = Problems.Random(1, 6), buffer = zeros(6, float64), v = Problems.Random(2, 6);
        LinearOperator J = LinearOperator.Jacobian(x => buffer.detach().copy_(M.mv(x).pow(2)), at);
        LinearOperator plain = LinearOperator.Jacobian(x => M.mv(x).pow(2), at);
        Tensor Jv = J.Apply(v), Jtv = J.ApplyTranspose(v);
        Check.Close(Jv, plain.Apply(v), 1e-13, "J v");
        Check.Close(Jtv, plain.ApplyTranspose(v), 1e-13, "J'v");
        Check.Close(linalg.lsmr(J, v, 0.1).Solution, linalg.lsmr(plain, v, 0.1).Solution, 1e-8, "x");
    }

    [Test]
    public void A_closure_may_return_its_argument_or_a_view_of_it()
    {
        Tensor v = Problems.Random(1, 6);
        LinearOperator same = LinearOperator.FromMatVec(x => x, x => x, [6], float64);
        LinearOperator views = LinearOperator.FromMatVec(x => x.view(2, 3), x => x.view(6), [6], float64);
        Tensor product = same.Apply(v);
        product.fill_(5);
        Check.Close(v, Problems.Random(1, 6), 1e-15, "v after its product was written to");
        Check.Close((same + same).Apply(v), v * 2, 1e-15, "2 v");
        Check.Close(linalg.lsmr(same, v).Solution, v, 1e-10, "x");
        Check.Close(linalg.lsmr(views, v.view(2, 3), 0.5).Solution, v / 1.25, 1e-10, "x of views");
    }

    [Test]
    public void A_constant_that_a_closure_keeps_stays_as_it_is()
    {
        Tensor zero = zeros(6, float64), b = Problems.Random(1, 6);
        LinearOperator nothing = LinearOperator.FromMatVec(_ => zero, _ => zero, [6], float64);
        Check.Close(linalg.lsmr(LinearOperator.FromMatrix(M) + nothing, b).Solution, linalg.solve(M, b), 1e-8, "x");
        Assert.That(linalg.lsmr(nothing, b).Stop, Is.EqualTo(LsmrStop.StartIsSolution));
        Assert.That(Problems.Values(zero), Is.All.Zero);
    }

    [Test]
    public void A_buffer_that_the_closure_keeps_is_not_disposed()
    {
        Tensor buffer = zeros(6, float64), b = Problems.Random(1, 6);
        LinearOperator A = LinearOperator.FromMatVec(v => Put(M.mv(v)), u => Put(M.t().mv(u)), [6], float64);
        Tensor Put(Tensor product)
        {
            buffer.copy_(product);
            return buffer;
        }
        for (int i = 0; i < 3; i++) {
            using var inner = NewDisposeScope();
            Check.Close(linalg.lsmr(A, b).Solution, linalg.solve(M, b), 1e-8, "x");
        }
        Assert.That(buffer.IsInvalid, Is.False);
    }

    [Test]
    public void No_tensor_is_left_by_products_of_buffers()
    {
        (LinearOperator A, LinearOperator B) = Operators(Buffer.Wrapper);
        LinearOperator all = LinearOperator.Stack(A * B, A + B, LinearOperator.Identity([6], float64));
        Tensor v = Problems.Random(1, 6), u = Problems.Random(2, 18), V = Problems.Random(3, 6, 2);
        Check.LeavesNoTensors(() => {
            all.Apply(v).Dispose();
            all.ApplyTranspose(u).Dispose();
            all.Apply(V).Dispose();
            linalg.lsmr(all, u).Solution.Dispose();
            all.Verify();
        });
    }
}
