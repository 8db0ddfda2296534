using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Operators;

/// <summary>Misuse throws with the rule and the value.</summary>
public class OperatorMisuseTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static void Refused(TestDelegate action, string sentence) =>
        Assert.That(action, Throws.ArgumentException.With.Message.Contains(sentence));

    [Test]
    public void A_vector_of_another_shape_dtype_or_size_is_refused()
    {
        LinearOperator A = LinearOperator.FromMatrix(ones(3, 4, float64));
        Refused(() => A.Apply(ones(3, float64)), "v has shape (3) but the operator takes (4)");
        Refused(() => A.Apply(ones(4, float32)), "v has dtype Float32 but the operator has Float64");
        Refused(() => A.ApplyTranspose(ones([4, 1], float64)), "u has shape (4, 1) but the operator returns (3)");
        Refused(() => A.ApplyTranspose(ones([3, 1, 1], float64)), "u has shape (3, 1, 1) but the operator returns (3)");
    }

    [Test]
    public void Matrices_have_two_dimensions_and_real_floats()
    {
        Refused(() => LinearOperator.FromMatrix(ones(3)), "two dimensions, but the tensor has shape (3)");
        Refused(() => LinearOperator.FromMatrix(ones(3, 3, int64)), "must be float32 or float64, but is Int64");
        Refused(() => LinearOperator.FromMatrix(ones(3, 3, complex64)), "must be float32 or float64, but is ComplexFloat32");
        Refused(() => LinearOperator.FromMatrix(ones(3, 3, float16)), "must be float32 or float64, but is Float16");
    }

    [Test]
    public void Csr_arrays_must_describe_a_matrix()
    {
        Tensor values = ones(3, float64), columns = tensor([0L, 1L, 2L]), starts = tensor([0L, 1L, 3L]);
        Refused(() => LinearOperator.FromCsr(values, columns, starts, 2), "Column indices must lie between 0 and 1");
        Refused(() => LinearOperator.FromCsr(values, tensor([0L, 1L]), starts, 3), "3 values but 2 column indices");
        Refused(() => LinearOperator.FromCsr(values, columns, tensor([0L, 1L, 2L]), 3), "must rise from 0 to the number of values, 3");
        Refused(() => LinearOperator.FromCsr(values, columns, tensor([0L, 4L, 3L]), 3), "must rise from 0");
        Refused(() => LinearOperator.FromCsr(values, columns.to(float64), starts, 3), "columnIndices must be int32 or int64");
        Refused(() => LinearOperator.FromCsr(ones([3, 1], float64), columns, starts, 3), "values must have one dimension");
    }

    [Test]
    public void Compositions_must_fit()
    {
        LinearOperator A = LinearOperator.FromMatrix(ones(3, 4)), B = LinearOperator.FromMatrix(ones(3, 4, float64));
        Refused(() => _ = A * A, "A must take what B returns, but the shapes are (4) and (3)");
        Refused(() => _ = A + A.T, "both must take the same");
        Refused(() => _ = A + B, "agree in dtype and device");
        Refused(() => LinearOperator.Stack(A, A.T), "Stacked operators must take the same");
        Refused(() => LinearOperator.Stack(), "at least one operator");
        Refused(() => LinearOperator.BlockDiagonal(), "at least one operator");
        Refused(() => LinearOperator.BlockDiagonal(A, B), "agree in dtype and device");
        Refused(() => _ = double.NaN * A, "must be finite");
        Refused(() => _ = ones(3) * A, "0-dim tensor, but has shape (3)");
    }

    [Test]
    public void A_closure_that_returns_another_shape_or_dtype_than_it_said_is_named()
    {
        int calls = 0;
        LinearOperator A = LinearOperator.FromMatVec(v => calls++ == 0 ? v : v[TensorIndex.Slice(0, 2)], [4]);
        Refused(() => A.Apply(ones(4)), "The matvec closure returned shape (2) where the operator has (4)");
        LinearOperator B = LinearOperator.FromMatVec(v => v, u => u.unsqueeze(0), [4]);
        Refused(() => B.ApplyTranspose(ones(4)), "The vecmat closure returned shape (1, 4) where the operator has (4)");
        LinearOperator C = LinearOperator.FromMatVec(v => v.to(float64), [4]);
        Refused(() => C.Apply(ones(4)), "returned Float64");
    }

    [Test]
    public void A_closure_without_a_derivative_has_no_transpose_by_autograd()
    {
        LinearOperator constant = LinearOperator.FromMatVec(v => zeros(3), [3]);
        Refused(() => constant.ApplyTranspose(ones(3)), "give a vecmat closure too");
        Tensor parameter = ones(3).requires_grad_();
        LinearOperator other = LinearOperator.FromMatVec(v => parameter.mul(2), [3]);
        Refused(() => other.ApplyTranspose(ones(3)), "not on its argument");
    }

    [Test]
    public void Verify_finds_closures_that_no_krylov_method_can_use()
    {
        Tensor M = Problems.Random(1, 4, 4);
        Assert.DoesNotThrow(() => LinearOperator.FromMatVec(v => M.mv(v), [4], ScalarType.Float64).Verify());
        Assert.DoesNotThrow(() => LinearOperator.FromMatrix(M.to(float32)).Verify());
        Refused(() => LinearOperator.FromMatVec(v => nn.functional.dropout(v, 0.5, true), [50]).Verify(), "the same product twice");
        Refused(() => LinearOperator.FromMatVec(v => v.abs(), [4]).Verify(), "must be linear");
        Refused(() => LinearOperator.FromMatVec(v => v.add(ones(4)), [4]).Verify(), "must be linear");
        Refused(() => LinearOperator.FromMatVec(v => M.mv(v), u => M.mv(u), [4], ScalarType.Float64).Verify(), "must satisfy <Av, u> = <v, A'u>");
    }
}
