using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>A map given as a closure, with its transpose as another one or, without, by autograd.</summary>
internal class ClosureOperator(
    ProductClosure matvec, ProductClosure? vecmat,
    IEnumerable<long> inputShape, IEnumerable<long> outputShape, ScalarType dtype, Device device)
    : LinearOperator(inputShape, outputShape, dtype, device)
{
    protected internal override Tensor MatVec(Tensor v) => Checked(matvec.Call(v), OutputShape, "matvec");

    protected internal override Tensor VecMat(Tensor u) =>
        vecmat is null ? Transpose(Record(createGraph: is_grad_enabled()), u)
            : Checked(vecmat.Call(u), InputShape, "vecmat");

    protected internal override LinearOperator Prepare() => vecmat is null ? new Recorded(this) : this;

    internal override bool Records => vecmat is null;

    private Linearization Record(bool createGraph)
    {
        Tensor z = zeros([.. InputShape], dtype, device, requires_grad: true);
        var recorded = new Linearization(() => MatVec(z), [z], forwardProducts: false, createGraph);
        if (!recorded.Value.requires_grad)
            throw new ArgumentException("The matvec closure's result does not depend on its argument by operations that autograd knows, so it has no transpose by autograd; give a vecmat closure too.");
        return recorded;
    }

    private static Tensor Transpose(Linearization recorded, Tensor u) =>
        recorded.TransposeProduct(u)[0]
        ?? throw new ArgumentException("The matvec closure's result depends on other tensors that require gradients but not on its argument, so it is no linear map of it.");

    private Tensor Checked(Tensor result, IReadOnlyList<long> shape, string closure)
    {
        if (!Vectors.HasShape(result, shape))
            throw new ArgumentException($"The {closure} closure returned shape {Text.Shape(result.shape)} where the operator has {Text.Shape(shape)}.");
        if (result.dtype != dtype || result.device_type != device.type)
            throw new ArgumentException($"The {closure} closure returned {result.dtype} on {result.device} where the operator has {dtype} on {device}.");
        return result;
    }

    /// <summary>The closure during one solve: A z recorded once, and each Aᵀu a backward pass through that record.</summary>
    private sealed class Recorded(ClosureOperator closure)
        : LinearOperator(closure.InputShape, closure.OutputShape, closure.dtype, closure.device)
    {
        private readonly Linearization recorded = closure.Record(createGraph: false);

        protected internal override Tensor MatVec(Tensor v) => closure.MatVec(v);

        protected internal override Tensor VecMat(Tensor u) => Transpose(recorded, u);
    }
}

public abstract partial class LinearOperator
{
    /// <summary>
    /// A map from the closure v ↦ A v alone; the transpose comes from differentiating it, recorded once per solve.
    /// Gradients reach every tensor that the closure uses. The closure is called once here, on zeros, for its output shape.
    /// It may return the same tensor each time, written anew: what must last is copied. A tensor that it keeps
    /// for later calls is to be made before, or taken out of the dispose scope of the call
    /// (<c>DetachFromDisposeScope</c>).
    /// </summary>
    /// <remarks>
    /// A closure may capture any tensors and variables, which must live, and keep their values, from a solve to the
    /// last backward pass through its solution: the closure is called again there, and a map that has changed is
    /// refused.
    /// </remarks>
    /// <param name="matvec">Takes a tensor of <paramref name="inputShape"/>; linear, deterministic, by operations that autograd knows.</param>
    /// <param name="inputShape">The shape of v.</param>
    /// <param name="dtype">float32 (the default) or float64.</param>
    /// <param name="device">By default the CPU.</param>
    public static LinearOperator FromMatVec(Func<Tensor, Tensor> matvec, ReadOnlySpan<long> inputShape,
        ScalarType dtype = ScalarType.Float32, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(matvec);
        var forward = new ProductClosure(matvec, "The matvec closure");
        (long[] shape, long[] image) = Probe(forward, inputShape, dtype, device);
        return new ClosureOperator(forward, null, shape, image, dtype, device ?? CPU);
    }

    /// <summary>
    /// A map from both closures, v ↦ A v and u ↦ Aᵀu. Nothing is recorded in a solve. For what they may capture, and return, see
    /// the other overload.
    /// </summary>
    /// <param name="matvec">Takes a tensor of <paramref name="inputShape"/>.</param>
    /// <param name="vecmat">Takes a tensor of the shape that <paramref name="matvec"/> returns; must be its transpose (see <see cref="Verify"/>).</param>
    /// <param name="inputShape">The shape of v.</param>
    /// <param name="dtype">float32 (the default) or float64.</param>
    /// <param name="device">By default the CPU.</param>
    public static LinearOperator FromMatVec(Func<Tensor, Tensor> matvec, Func<Tensor, Tensor> vecmat, ReadOnlySpan<long> inputShape,
        ScalarType dtype = ScalarType.Float32, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(matvec);
        ArgumentNullException.ThrowIfNull(vecmat);
        var forward = new ProductClosure(matvec, "The matvec closure");
        (long[] shape, long[] image) = Probe(forward, inputShape, dtype, device);
        return new ClosureOperator(forward, new ProductClosure(vecmat, "The vecmat closure"), shape, image, dtype,
            device ?? CPU);
    }

    /// <summary>A map from the closure u ↦ Aᵀu alone, whose argument has A's output shape; A v comes from differentiating it.</summary>
    public static LinearOperator FromVecMat(Func<Tensor, Tensor> vecmat, ReadOnlySpan<long> outputShape,
        ScalarType dtype = ScalarType.Float32, Device? device = null) => FromMatVec(vecmat, outputShape, dtype, device).T;

    private static (long[] Shape, long[] Image) Probe(ProductClosure closure, ReadOnlySpan<long> shape,
        ScalarType dtype, Device? device)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        long[] size = Require.Sizes([.. shape], "The shape that an operator takes");
        device = Require.Memory(device ?? CPU, "An operator");
        return (size, closure.Call(zeros(size, Require.RealFloat(dtype, "an operator"), device)).shape);
    }
}
