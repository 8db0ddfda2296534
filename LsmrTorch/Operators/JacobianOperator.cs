using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>The Jacobian of a function at a point: J v and Jᵀu by backward passes.</summary>
internal sealed class JacobianOperator(Func<Tensor, Tensor> function, Tensor at, long[] valueShape)
    : LinearOperator(at.shape, valueShape, at.dtype, at.device)
{
    protected internal override Tensor MatVec(Tensor v) => Product(Record(differentiable: is_grad_enabled()), v);

    protected internal override Tensor VecMat(Tensor u) => TransposeProduct(Record(differentiable: is_grad_enabled()), u);

    protected internal override LinearOperator Prepare() => new Recorded(this);

    internal override bool Records => true;

    internal override bool MayReturnBuffer => false;

    internal override void RequireUnchanged() =>
        Require.Unchanged(at, "The point", [.. InputShape], dtype, device.type);

    internal override IEnumerable<Tensor> Held => [at];

    internal override LinearOperator With(Queue<Tensor> held) => new JacobianOperator(function, held.Dequeue(), valueShape);

    private Linearization Record(bool differentiable)
    {
        Tensor point;
        using (enable_grad()) {
            if (differentiable && at.requires_grad) {
                point = at.view_as(at);     // its own .grad, and a graph that leads on to `at`
                point.retain_grad();
            } else {
                point = at.detach().requires_grad_();
            }
        }
        var recorded = new Linearization(() => Value(function, point), [point], forwardProducts: true, differentiable);
        if (!recorded.Value.shape.SequenceEqual(OutputShape))
            throw new ArgumentException($"The function returned shape {Text.Shape(recorded.Value.shape)} where it returned {Text.Shape(OutputShape)} before.");
        return recorded;
    }

    /// <summary>The function's value at a point, which it may write to.</summary>
    /// <exception cref="ArgumentException">It is null, or of another dtype or device than the point.</exception>
    public static Tensor Value(Func<Tensor, Tensor> function, Tensor point)
    {
        Tensor value = UserFunction.Call(function, point.clone(), "The function of a Jacobian");
        if (value.dtype != point.dtype || value.device_type != point.device_type)
            throw new ArgumentException(
                $"The function of a Jacobian must return the dtype and device of its argument, {point.dtype} on "
                    + $"{point.device}, but returned {value.dtype} on {value.device}.");
        return value;
    }

    private Tensor Product(Linearization recorded, Tensor v) => recorded.Product([v]) ?? zeros([.. OutputShape], dtype, device);

    private Tensor TransposeProduct(Linearization recorded, Tensor u) =>
        recorded.TransposeProduct(u)[0] ?? zeros([.. InputShape], dtype, device);

    private sealed class Recorded(JacobianOperator jacobian)
        : LinearOperator(jacobian.InputShape, jacobian.OutputShape, jacobian.dtype, jacobian.device)
    {
        private readonly Linearization recorded = jacobian.Record(differentiable: false);

        internal override bool MayReturnBuffer => false;

        internal override void RequireUnchanged() => jacobian.RequireUnchanged();

        protected internal override Tensor MatVec(Tensor v) => jacobian.Product(recorded, v);

        protected internal override Tensor VecMat(Tensor u) => jacobian.TransposeProduct(recorded, u);
    }
}

public abstract partial class LinearOperator
{
    /// <summary>
    /// The Jacobian of <paramref name="function"/> at <paramref name="at"/>, from at's shape to the value's. It is never
    /// formed: Jᵀu is a backward pass, J v two. Gradients reach <paramref name="at"/> and the tensors that the function uses.
    /// The function is called once here for the shape of its value, and must be deterministic; what it captures must
    /// keep its value from a solve to the last backward pass through its solution.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// The value is null, or has another dtype or device than <paramref name="at"/>.
    /// </exception>
    public static LinearOperator Jacobian(Func<Tensor, Tensor> function, Tensor at)
    {
        ArgumentNullException.ThrowIfNull(function);
        Require.RealFloat(Require.Strided(at, nameof(at)).dtype, "an operator");
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return new JacobianOperator(function, at, JacobianOperator.Value(function, at.detach()).shape);
    }
}
