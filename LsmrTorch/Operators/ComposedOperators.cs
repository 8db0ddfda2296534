using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>An operator made of others: what it holds, prepares and may require is theirs.</summary>
internal abstract class ComposedOperator(
    LinearOperator[] parts, IEnumerable<long> inputShape, IEnumerable<long> outputShape)
    : LinearOperator(inputShape, outputShape, parts[0].dtype, parts[0].device)
{
    // Of each part, whether its product may be overwritten by that of a later one.
    private readonly bool[] isOverwritten = [.. parts.Select((part, i) =>
        part.MayReturnBuffer && parts.Skip(i + 1).Any(later => later.MayWriteBuffer))];

    protected LinearOperator[] Parts { get; } = parts;

    /// <summary>A part's product, to be there when those of the parts after it are.</summary>
    protected Tensor Keep(int part, Tensor product) => isOverwritten[part] ? product.clone() : product;

    /// <summary>The same composition of other parts.</summary>
    protected abstract LinearOperator Of(LinearOperator[] parts);

    protected internal override LinearOperator Prepare() => Of([.. Parts.Select(part => part.Prepare())]);

    internal override bool MayRequireGrad => Parts.Any(part => part.MayRequireGrad);

    internal override bool Records => Parts.Any(part => part.Records);

    internal override bool MayWriteBuffer => Parts.Any(part => part.MayWriteBuffer);

    // Of several parts a new tensor is made.
    internal override bool MayReturnBuffer => Parts.Length == 1 && Parts[0].MayReturnBuffer;

    internal override void RequireUnchanged()
    {
        foreach (LinearOperator part in Parts)
            part.RequireUnchanged();
    }

    internal override bool HoldsAll => Parts.All(part => part.HoldsAll);

    internal override bool MayChangeUnseen => Parts.Any(part => part.MayChangeUnseen);

    internal override IEnumerable<Tensor> Held => Parts.SelectMany(part => part.Held);

    internal override LinearOperator With(Queue<Tensor> held) => Of([.. Parts.Select(part => part.With(held))]);

    // The flattened products of the parts, one after the other, each put in its place at once where a later one may
    // overwrite it.
    protected Tensor Joined(IReadOnlyList<long>[] shapes, Func<int, Tensor> product)
    {
        if (is_grad_enabled() || !isOverwritten.Contains(true))
            return Vectors.Flatten(Parts.Select((_, i) => Keep(i, product(i))));
        using var scope = NewDisposeScope();
        Tensor joined = empty(shapes.Sum(Vectors.Count), dtype, device);
        long offset = 0;
        for (int i = 0; i < shapes.Length; i++) {
            long length = Vectors.Count(shapes[i]);
            joined.narrow(0, offset, length).copy_(product(i).reshape(length));
            offset += length;
        }
        return scope.MoveToOuter(joined);
    }

    protected static void RequireSame(IReadOnlyList<long> left, IReadOnlyList<long> right, string rule)
    {
        if (!left.SequenceEqual(right))
            throw new ArgumentException($"{rule}, but the shapes are {Text.Shape(left)} and {Text.Shape(right)}.");
    }

    protected static LinearOperator[] Alike(params LinearOperator[] parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        if (parts.Length == 0)
            throw new ArgumentException("A composition needs at least one operator.");
        ArgumentNullException.ThrowIfNull(parts[0], "operator");
        foreach (LinearOperator part in parts) {
            ArgumentNullException.ThrowIfNull(part, "operator");
            if (part.dtype != parts[0].dtype || part.device.ToString() != parts[0].device.ToString())
                throw new ArgumentException($"Composed operators must agree in dtype and device, but one has {parts[0].dtype} on {parts[0].device} and another {part.dtype} on {part.device}.");
        }
        return parts;
    }
}

/// <summary>Aᵀ.</summary>
internal sealed class TransposedOperator(LinearOperator A) : ComposedOperator([A], A.OutputShape, A.InputShape)
{
    public override LinearOperator T => Parts[0];

    protected override LinearOperator Of(LinearOperator[] parts) => new TransposedOperator(parts[0]);

    protected internal override Tensor MatVec(Tensor v) => Parts[0].VecMat(v);

    protected internal override Tensor VecMat(Tensor u) => Parts[0].MatVec(u);

    internal override Fusion Fusion => Parts[0].Fusion switch {
        Fusion.Step => Fusion.Transposed,
        Fusion.Transposed => Fusion.Step,
        _ => Fusion.None,
    };

    internal override double FusedStep(Tensor v, Tensor u, double alpha, Tensor image) => Parts[0].FusedTransposedStep(v, u, alpha, image);

    internal override double FusedTransposedStep(Tensor u, Tensor v, double beta, Tensor image) => Parts[0].FusedStep(u, v, beta, image);

    protected internal override Tensor MatVecs(Tensor V) => Parts[0].VecMats(V);

    protected internal override Tensor VecMats(Tensor U) => Parts[0].MatVecs(U);

    internal override EntryNorms? Norms() => Parts[0].Norms()?.T;
}

/// <summary>A B.</summary>
internal sealed class ProductOperator : ComposedOperator
{
    public ProductOperator(LinearOperator A, LinearOperator B) : base(Alike(A, B), B.InputShape, A.OutputShape)
    {
        RequireSame(A.InputShape, B.OutputShape, "In A * B, A must take what B returns");
    }

    protected override LinearOperator Of(LinearOperator[] parts) => new ProductOperator(parts[0], parts[1]);

    internal override bool MayReturnBuffer => Parts.Any(part => part.MayReturnBuffer);

    // Closures of both may write to one buffer, and read what they are given after that.
    private Tensor Between(LinearOperator from, Tensor product) =>
        Parts.All(part => part.MayWriteBuffer) ? from.Kept(product) : product;

    // A reads itself once, B (a preconditioner, say) does its products apart. Not for multi-dimensional vectors, which may be views.
    internal override Fusion Fusion => Parts[0].Fusion == Fusion.Step && InputShape.Count == 1 ? Fusion.Step : Fusion.None;

    internal override double FusedStep(Tensor v, Tensor u, double alpha, Tensor image)
    {
        using var scope = NewDisposeScope();
        // of an operator that may be anyone's, for loops that look at no bounds
        Tensor between = Memory.Plain(Parts[1].MatVec(v));
        Require.Vector(between, "the product with B", Parts[0].InputShape, "A, in A * B, takes", Parts[0]);
        Tensor back = empty_like(between);
        double norm = Parts[0].FusedStep(between, u, alpha, back);
        image.copy_(Parts[1].VecMat(back));
        return norm;
    }

    protected internal override Tensor MatVec(Tensor v)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Parts[0].MatVec(Between(Parts[1], Parts[1].MatVec(v))));
    }

    protected internal override Tensor VecMat(Tensor u)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Parts[1].VecMat(Between(Parts[0], Parts[0].VecMat(u))));
    }

    protected internal override Tensor MatVecs(Tensor V)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Parts[0].MatVecs(Between(Parts[1], Parts[1].MatVecs(V))));
    }

    protected internal override Tensor VecMats(Tensor U)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Parts[1].VecMats(Between(Parts[0], Parts[0].VecMats(U))));
    }
}

/// <summary>A + B.</summary>
internal sealed class SumOperator : ComposedOperator
{
    public SumOperator(LinearOperator A, LinearOperator B) : base(Alike(A, B), A.InputShape, A.OutputShape)
    {
        RequireSame(A.InputShape, B.InputShape, "In A + B, both must take the same");
        RequireSame(A.OutputShape, B.OutputShape, "In A + B, both must return the same");
    }

    protected override LinearOperator Of(LinearOperator[] parts) => new SumOperator(parts[0], parts[1]);

    protected internal override Tensor MatVec(Tensor v)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Vectors.Sum(Keep(0, Parts[0].MatVec(v)), Parts[1].MatVec(v)));
    }

    protected internal override Tensor VecMat(Tensor u)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Vectors.Sum(Keep(0, Parts[0].VecMat(u)), Parts[1].VecMat(u)));
    }

    protected internal override Tensor MatVecs(Tensor V)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Vectors.Sum(Keep(0, Parts[0].MatVecs(V)), Parts[1].MatVecs(V)));
    }

    protected internal override Tensor VecMats(Tensor U)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Vectors.Sum(Keep(0, Parts[0].VecMats(U)), Parts[1].VecMats(U)));
    }
}

/// <summary>s A, for a number or a 0-dim tensor s.</summary>
internal sealed class ScaledOperator(double factor, Tensor? scale, LinearOperator A)
    : ComposedOperator([A], A.InputShape, A.OutputShape)
{
    protected override LinearOperator Of(LinearOperator[] parts) => new ScaledOperator(factor, scale, parts[0]);

    protected internal override Tensor MatVec(Tensor v)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Times(Parts[0].MatVec(v)));
    }

    protected internal override Tensor VecMat(Tensor u)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Times(Parts[0].VecMat(u)));
    }

    protected internal override Tensor MatVecs(Tensor V)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Times(Parts[0].MatVecs(V)));
    }

    protected internal override Tensor VecMats(Tensor U)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Times(Parts[0].VecMats(U)));
    }

    internal override bool MayReturnBuffer => false;

    private Tensor Times(Tensor x)
    {
        if (scale is not null)
            return x.mul(scale);
        using Scalar number = factor;
        return x.mul(number);
    }

    internal override void RequireUnchanged()
    {
        base.RequireUnchanged();
        if (scale is not null && scale.dim() != 0)
            throw new ArgumentException(
                $"An operator's factor must stay a 0-dim tensor, but now has shape {Text.Shape(scale.shape)}.");
    }

    internal override EntryNorms? Norms() => Parts[0].Norms()?.Times(scale is null ? factor : Vectors.Read(scale));

    internal override Tensor? ColumnNorms()
    {
        using Scalar size = Math.Abs(scale is null ? factor : Vectors.Read(scale));
        return Parts[0].ColumnNorms()?.mul(size);
    }

    internal override bool MayRequireGrad => scale is { requires_grad: true } || base.MayRequireGrad;

    internal override IEnumerable<Tensor> Held => scale is null ? base.Held : [scale, .. base.Held];

    internal override LinearOperator With(Queue<Tensor> held) =>
        new ScaledOperator(factor, scale is null ? null : held.Dequeue(), Parts[0].With(held));
}

/// <summary>[A; B; …], the outputs flattened one after the other.</summary>
internal sealed class StackOperator : ComposedOperator
{
    public StackOperator(LinearOperator[] parts) : base(Alike(parts), parts[0].InputShape, [parts.Sum(part => part.Rows)])
    {
        foreach (LinearOperator part in parts)
            RequireSame(parts[0].InputShape, part.InputShape, "Stacked operators must take the same");
    }

    protected override LinearOperator Of(LinearOperator[] parts) => new StackOperator(parts);

    // Each part does its rows: those that can, by one read, the others ([A; λI] has one) by two products. Not for multi-dimensional
    // vectors, which may be views.
    internal override Fusion Fusion =>
        InputShape.Count == 1 && Parts.All(part => part.OutputShape.Count == 1) && Parts.Any(part => part.Fusion == Fusion.Step) ? Fusion.Step : Fusion.None;

    internal override double FusedStep(Tensor v, Tensor u, double alpha, Tensor image)
    {
        using var scope = NewDisposeScope();
        double norm = 0;
        long offset = 0;
        Tensor sum = zeros_like(image);
        foreach (LinearOperator part in Parts) {
            Tensor rows = u.narrow(0, offset, part.Rows);
            offset += part.Rows;
            if (part.Fusion == Fusion.Step) {
                norm = double.Hypot(norm, part.FusedStep(v, rows, alpha, image));
                Vectors.AddScaled(sum, 1, image);
            } else {
                Vectors.ScaleAdd(rows, -alpha, part.MatVec(v));
                norm = double.Hypot(norm, Vectors.Norm(rows));
                Vectors.AddScaled(sum, 1, part.VecMat(rows));
            }
        }
        Vectors.Assign(image, sum);
        return norm;
    }

    protected internal override Tensor MatVec(Tensor v)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Joined([.. Parts.Select(part => part.OutputShape)], i => Parts[i].MatVec(v)));
    }

    protected internal override Tensor VecMat(Tensor u)
    {
        using var scope = NewDisposeScope();
        Tensor[] pieces = Vectors.Split(u, [.. Parts.Select(part => part.OutputShape.ToArray())]);
        Tensor[] products = [.. Parts.Select((part, i) => Keep(i, part.VecMat(pieces[i])))];
        return scope.MoveToOuter(products.Aggregate(Vectors.Sum));
    }

    protected internal override Tensor MatVecs(Tensor V)
    {
        using var scope = NewDisposeScope();
        Tensor[] products = [.. Parts.Select((part, i) => Keep(i, part.MatVecs(V)).reshape(part.Rows, V.shape[^1]))];
        return scope.MoveToOuter(products.Length == 1 ? products[0] : cat(products));
    }

    protected internal override Tensor VecMats(Tensor U)
    {
        using var scope = NewDisposeScope();
        var products = new List<Tensor>();
        long offset = 0;
        for (int i = 0; i < Parts.Length; i++) {
            LinearOperator part = Parts[i];
            Tensor piece = U.narrow(0, offset, part.Rows).reshape([.. part.OutputShape, U.shape[^1]]);
            products.Add(Keep(i, part.VecMats(piece)));
            offset += part.Rows;
        }
        return scope.MoveToOuter(products.Aggregate(Vectors.Sum));
    }

    internal override EntryNorms? Norms()
    {
        EntryNorms?[] norms = [.. Parts.Select(part => part.Norms())];
        if (norms.Contains(null))
            return null;
        Tensor columns = norms.Select(part => part!.Value.Columns).Aggregate((sum, next) => sum.hypot(next));
        return new(Vectors.Flatten(norms.Select(part => part!.Value.Rows)), columns);
    }

    internal override Tensor? ColumnNorms()
    {
        Tensor?[] norms = [.. Parts.Select(part => part.ColumnNorms())];
        return norms.Contains(null) ? null : norms.Aggregate((sum, next) => sum!.hypot(next!));
    }
}

public abstract partial class LinearOperator
{
    /// <summary>The composition v ↦ A (B v).</summary>
    /// <exception cref="ArgumentException">A does not take what B returns.</exception>
    public static LinearOperator operator *(LinearOperator A, LinearOperator B) => new ProductOperator(A, B);

    /// <summary>v ↦ A v + B v.</summary>
    /// <exception cref="ArgumentException">The shapes differ.</exception>
    public static LinearOperator operator +(LinearOperator A, LinearOperator B) => new SumOperator(A, B);

    /// <summary>v ↦ s A v.</summary>
    /// <exception cref="ArgumentException">s is not finite, or out of the range of the operator's dtype.</exception>
    public static LinearOperator operator *(double s, LinearOperator A)
    {
        ArgumentNullException.ThrowIfNull(A);
        if (!double.IsFinite(s))
            throw new ArgumentException($"An operator's factor must be finite, but is {Text.Exact(s)}.", nameof(s));
        RequireFactor(s, A);
        return new ScaledOperator(s, null, A);
    }

    private static void RequireFactor(double s, LinearOperator A)
    {
        if (!Vectors.Fits(s, A.dtype))
            throw new ArgumentException(
                $"An operator's factor must fit {A.dtype}, whose largest number is {Text.Number(float.MaxValue)}, but "
                    + $"is {Text.Number(s)}.", nameof(s));
    }

    /// <summary>v ↦ s A v for a 0-dim tensor; gradients reach it.</summary>
    /// <exception cref="ArgumentException">
    /// s has dimensions, is complex, or is out of the range of the operator's dtype.
    /// </exception>
    public static LinearOperator operator *(Tensor s, LinearOperator A)
    {
        Require.Strided(s, nameof(s));
        ArgumentNullException.ThrowIfNull(A);
        if (s.dim() != 0)
            throw new ArgumentException(
                $"An operator's factor must be a number or a 0-dim tensor, but has shape {Text.Shape(s.shape)}; use "
                    + $"Diagonal for entries.", nameof(s));
        if (s.is_complex())
            throw new ArgumentException($"An operator's factor must be real, but is {s.dtype}.", nameof(s));
        // elsewhere a look at it would wait for the device
        if (s.dtype == ScalarType.Float64 && s.device_type == DeviceType.CPU)
            RequireFactor(Vectors.Read(s), A);
        return new ScaledOperator(1, s, A);
    }

    /// <summary>[A; B; …]: all take the same; the outputs are flattened one after the other into shape (Σ Rows).</summary>
    /// <exception cref="ArgumentException">No operator, or shapes, dtypes or devices that differ.</exception>
    public static LinearOperator Stack(params LinearOperator[] operators)
    {
        ArgumentNullException.ThrowIfNull(operators);
        return new StackOperator([.. operators]);
    }
}
