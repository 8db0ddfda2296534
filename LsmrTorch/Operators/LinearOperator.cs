using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A linear map A known by its products v ↦ A v and u ↦ Aᵀu. It maps tensors of <see cref="InputShape"/> to tensors of
/// <see cref="OutputShape"/>; vectors need not be flat, and their inner product is the sum over all entries.
/// </summary>
/// <remarks>
/// An operator holds the tensors it is made from and does not own them: they, and whatever its closures capture, must
/// live until the last product, that of a backward pass included. Reading an operator from several threads is safe
/// where its closures are.
/// </remarks>
public abstract partial class LinearOperator
{
    private readonly long[] inputShape;
    private readonly long[] outputShape;

    /// <summary>Declares the shapes, the dtype (float32 or float64) and the device of both sides.</summary>
    /// <exception cref="ArgumentException">Another dtype, a size below zero, or the device meta.</exception>
    protected LinearOperator(IEnumerable<long> inputShape, IEnumerable<long> outputShape, ScalarType dtype, Device device)
    {
        this.inputShape = Require.Sizes([.. inputShape], "The shape that an operator takes");
        this.outputShape = Require.Sizes([.. outputShape], "The shape that an operator returns");
        this.dtype = Require.RealFloat(dtype, "an operator");
        this.device = Require.Memory(device, "An operator");
    }

    /// <summary>The shape of v in A v.</summary>
    public IReadOnlyList<long> InputShape => inputShape;

    /// <summary>The shape of A v.</summary>
    public IReadOnlyList<long> OutputShape => outputShape;

    /// <summary>The entries' type, float32 or float64.</summary>
    public ScalarType dtype { get; }

    /// <summary>Where both sides lie.</summary>
    public Device device { get; }

    /// <summary>The number of columns: entries of a tensor of <see cref="InputShape"/>.</summary>
    public long Columns => Vectors.Count(inputShape);

    /// <summary>The number of rows: entries of a tensor of <see cref="OutputShape"/>.</summary>
    public long Rows => Vectors.Count(outputShape);

    /// <summary>Aᵀ, sharing everything with A; <c>A.T.T</c> is A.</summary>
    public virtual LinearOperator T => new TransposedOperator(this);

    /// <summary>
    /// A v, a new tensor of <see cref="OutputShape"/>; for v with one more dimension at the end, A times each column. Gradients reach v and
    /// the tensors that A uses.
    /// </summary>
    /// <exception cref="ArgumentException">v has another shape, dtype or device, or a closure returns another than it said.</exception>
    public Tensor Apply(Tensor v)
    {
        Require.Vectors(v, "v", inputShape, "the operator takes", this);
        RequireUnchanged();
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Augmented.Product(this, v));
    }

    /// <summary>
    /// Aᵀu, a new tensor of <see cref="InputShape"/>; for u with one more dimension at the end, Aᵀ times each column. Gradients reach u and
    /// the tensors that A uses.
    /// </summary>
    /// <exception cref="ArgumentException">u has another shape, dtype or device, or a closure returns another than it said.</exception>
    public Tensor ApplyTranspose(Tensor u)
    {
        Require.Vectors(u, "u", outputShape, "the operator returns", this);
        RequireUnchanged();
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Augmented.TransposedProduct(this, u));
    }

    /// <summary>
    /// A v by operations that autograd knows; must not write to v and returns another tensor object than v. What is
    /// returned may be overwritten by the next product.
    /// </summary>
    protected internal abstract Tensor MatVec(Tensor v);

    /// <summary>
    /// Aᵀu by operations that autograd knows; must not write to u and returns another tensor object than u. What is
    /// returned may be overwritten by the next product.
    /// </summary>
    protected internal abstract Tensor VecMat(Tensor u);

    /// <summary>A times each column of V, whose shape is <see cref="InputShape"/> and one more dimension for the columns.</summary>
    protected internal virtual Tensor MatVecs(Tensor V) => EachColumn(V, MatVec);

    /// <summary>Aᵀ times each column of U, whose shape is <see cref="OutputShape"/> and one more dimension for the columns.</summary>
    protected internal virtual Tensor VecMats(Tensor U) => EachColumn(U, VecMat);

    private Tensor EachColumn(Tensor columns, Func<Tensor, Tensor> product)
    {
        using var scope = NewDisposeScope();
        Tensor[] each = columns.unbind(-1);
        if (is_grad_enabled() || each.Length == 0)
            return scope.MoveToOuter(stack([.. each.Select(column => Kept(product(column.contiguous())))], -1));
        Tensor? all = null;
        for (int j = 0; j < each.Length; j++) {
            using var inner = NewDisposeScope();
            Tensor made = product(each[j].contiguous());
            all ??= inner.MoveToOuter(empty([.. made.shape, each.Length], made.dtype, made.device));
            all.select(-1, j).copy_(made);
        }
        return scope.MoveToOuter(all!);
    }

    /// <summary>
    /// Whether a product may write to memory in which earlier ones lie, as where closures have one buffer for their
    /// results.
    /// </summary>
    internal virtual bool MayWriteBuffer => true;

    /// <summary>Whether a product may lie in such memory.</summary>
    internal virtual bool MayReturnBuffer => MayWriteBuffer;

    /// <summary>A product of this operator in memory of its own; carries gradients.</summary>
    internal Tensor Kept(Tensor product) => MayReturnBuffer ? product.clone() : product;

    /// <summary>
    /// Throws where a tensor that the operator was made of has another shape, dtype or device than then
    /// (<c>set_</c> and <c>transpose_</c> change them in place). Its numbers may change.
    /// </summary>
    /// <exception cref="ArgumentException">So it is.</exception>
    internal virtual void RequireUnchanged()
    {
    }

    /// <summary>
    /// An operator with the same products, whose preparation (a recorded graph, say) is paid once for a whole solve.
    /// It carries no gradients, its tensors belong to the current dispose scope, and it is dropped before anything
    /// that it uses can change.
    /// </summary>
    protected internal virtual LinearOperator Prepare() => this;

    /// <summary>Whether <see cref="Prepare"/> records products as they are at that moment.</summary>
    internal virtual bool Records => false;

    /// <summary>Whether <see cref="FusedStep"/> is there, or that of the transpose.</summary>
    internal virtual Fusion Fusion => Fusion.None;

    /// <summary>
    /// Where <see cref="Fusion"/> is <see cref="Fusion.Step"/>: u ← A v − α u and image ← Aᵀu together, which reads A once; returns ‖u‖.
    /// No gradients flow; the tensors are contiguous.
    /// </summary>
    internal virtual double FusedStep(Tensor v, Tensor u, double alpha, Tensor image) => throw new InvalidOperationException("This operator has no fused step.");

    /// <summary>Where <see cref="Fusion"/> is <see cref="Fusion.Transposed"/>: v ← Aᵀu − β v and image ← A v together; returns ‖v‖.</summary>
    internal virtual double FusedTransposedStep(Tensor u, Tensor v, double beta, Tensor image) => throw new InvalidOperationException("This operator has no fused step.");

    /// <summary>False where it is known, without a product, that no gradient can be asked of this operator.</summary>
    internal virtual bool MayRequireGrad => true;

    /// <summary>
    /// Whether <see cref="Held"/> has every tensor that a gradient can be asked of; false where a closure, or an
    /// operator of another's making, may use others.
    /// </summary>
    internal virtual bool HoldsAll => false;

    /// <summary>
    /// Whether the products can become others without a change of what <see cref="Held"/> has, as those of a closure
    /// can: then a backward pass checks that they did not (see <see cref="MapWitness"/>).
    /// </summary>
    internal virtual bool MayChangeUnseen => true;

    /// <summary>The tensors that the operator holds, saved for the backward pass; what a closure captures is not seen.</summary>
    internal virtual IEnumerable<Tensor> Held => [];

    /// <summary>The same operator on other tensors, taken from <paramref name="held"/> in the order of <see cref="Held"/>.</summary>
    internal virtual LinearOperator With(Queue<Tensor> held) => this;

    /// <summary>
    /// The norms of the rows and of the columns, where the operator can tell them from its entries (one read of them); null
    /// otherwise. Called under <c>no_grad()</c>; the tensors belong to the current dispose scope.
    /// </summary>
    internal virtual EntryNorms? Norms() => null;

    /// <summary>The norms of the columns exactly, also where entries of one place are to be added first; null as for <see cref="Norms"/>.</summary>
    internal virtual Tensor? ColumnNorms() => Norms()?.Columns;

    /// <summary>S A as a dense matrix, where the operator has entries; null otherwise. Called under <c>no_grad()</c>.</summary>
    internal virtual Tensor? Sketched(SparseSigns S) => null;

    /// <summary>
    /// Throws if the operator is not what a Krylov method needs: products that repeat (dropout breaks that), linearity,
    /// and a transpose that is one, ⟨A v, u⟩ = ⟨v, Aᵀu⟩. Tried on normal random vectors; five products.
    /// </summary>
    /// <param name="seed">Seed of the random vectors.</param>
    /// <exception cref="ArgumentException">A rule is broken; the message says which, and by how much.</exception>
    public void Verify(long seed = 0)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        Tensor Random(long[] shape) => randn(shape, float64, generator: generator).to(dtype).to(device);
        RequireUnchanged();
        LinearOperator products = Prepare();
        Tensor v = Random(inputShape), w = Random(inputShape), u = Random(outputShape);
        Tensor Av = Augmented.Product(products, v);
        double tolerance = 100 * Vectors.Epsilon(dtype) * Math.Sqrt(Math.Max(Rows, Columns));

        void Compare(Tensor found, Tensor expected, string rule)
        {
            double error = Vectors.Norm(found.sub(expected)), size = Vectors.Norm(expected);
            if (!(error <= tolerance * size))
                throw new ArgumentException($"{rule}, but the relative difference is {Text.Number(error / size)}.");
        }
        Compare(Augmented.Product(products, v), Av, "The operator must give the same product twice");
        Tensor Aw = Augmented.Product(products, w).clone();
        Vectors.ScaleAdd(w, -2.0, v);                       // w <- v - 2 w
        Vectors.ScaleAdd(Aw, -2.0, Av);
        Compare(Augmented.Product(products, w), Aw, "The operator must be linear, A(v - 2w) = Av - 2Aw");
        double left = Vectors.Dot(Av, u), right = Vectors.Dot(v, Augmented.TransposedProduct(products, u));
        double scale = Vectors.Norm(Av) * Vectors.Norm(u);
        if (!(Math.Abs(left - right) <= tolerance * scale))
            throw new ArgumentException($"The transposed product must satisfy <Av, u> = <v, A'u>, but {Text.Number(left)} is not {Text.Number(right)}.");
    }

    /// <summary>Such as <c>LinearOperator (1000) -> (1000), Float64, cpu</c>.</summary>
    public override string ToString() => $"{GetType().Name} {Text.Shape(inputShape)} -> {Text.Shape(outputShape)}, {dtype}, {device}";
}

/// <summary>Which of the two products of a bidiagonalisation step an operator can do together with the next.</summary>
internal enum Fusion
{
    /// <summary>Neither: two products a step.</summary>
    None,

    /// <summary>u = A v − α u, and Aᵀu with it.</summary>
    Step,

    /// <summary>v = Aᵀu − β v, and A v with it, for the next step.</summary>
    Transposed,
}
