using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A function recorded at a point, and the products with its Jacobian J there: Jᵀu by one backward pass, J v by the
/// backward pass of a backward pass (TorchSharp has no forward mode). The tensors it records belong to the dispose
/// scope in which it is made, and it is invalid once a recorded tensor is changed in place.
/// </summary>
internal sealed class Linearization
{
    private readonly IReadOnlyList<Tensor> inputs;
    private readonly bool createGraph;
    private readonly Tensor? probe;             // u of the recorded Jᵀu, a leaf
    private readonly int[] used = [];           // the inputs on which Jᵀu depends through u
    private readonly Tensor[] transposed = [];  // their entries of the recorded Jᵀu, linear in u

    /// <summary>Records <paramref name="function"/> at <paramref name="inputs"/>, which require gradients.</summary>
    /// <param name="function">What is recorded; it must reach its value through operations that autograd knows.</param>
    /// <param name="inputs">The tensors of which J takes changes.</param>
    /// <param name="forwardProducts">Whether J v will be asked for too, which needs Jᵀu recorded as well.</param>
    /// <param name="createGraph">Whether the products carry gradients themselves.</param>
    public Linearization(Func<Tensor> function, IReadOnlyList<Tensor> inputs, bool forwardProducts, bool createGraph)
    {
        this.inputs = inputs;
        this.createGraph = createGraph;
        using var guard = enable_grad();
        Value = function().clone();         // the function may write to what it returned when it is called again
        if (!forwardProducts || !Value.requires_grad)
            return;
        using Tensor value = Value.detach();
        probe = zeros_like(value).requires_grad_();
        Tensor?[] products = Dense(Backprop.Gradients([Value], [probe], inputs, true, true));
        used = [.. Enumerable.Range(0, products.Length).Where(i => products[i] is { requires_grad: true })];
        transposed = [.. used.Select(i => products[i]!)];
    }

    /// <summary>The function's value at the point.</summary>
    public Tensor Value { get; }

    /// <summary>Jᵀu, an entry for each input; null where the value does not depend on the input.</summary>
    public Tensor?[] TransposeProduct(Tensor u) =>
        Value.requires_grad ? Dense(Backprop.Gradients([Value], [u], inputs, true, createGraph))
            : new Tensor?[inputs.Count];

    /// <summary>J v for v with an entry for each input; null if the value depends on none of them.</summary>
    public Tensor? Product(IReadOnlyList<Tensor> v) =>
        used.Length == 0 ? null : Backprop.Gradients(transposed, [.. used.Select(i => v[i])], [probe!], true, createGraph)[0];

    // Those of an nn.Embedding(sparse: true) are not.
    private static Tensor?[] Dense(Tensor?[] gradients)
    {
        for (int i = 0; i < gradients.Length; i++) {
            if (gradients[i] is { } found)
                gradients[i] = Layout.Dense(found);
        }
        return gradients;
    }
}
