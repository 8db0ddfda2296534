using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Gradients without the risk of TorchSharp's <c>autograd.grad</c>, which ends the process on any error, and with the
/// reason of what fails, which the native exception of <c>backward()</c> does not carry.
/// </summary>
public static class Gradient
{
    /// <summary>
    /// The gradients of a 0-dim <paramref name="output"/> with respect to <paramref name="inputs"/>, in their order and shapes; zeros
    /// where the output does not depend on an input. The inputs' <c>.grad</c> stays as it was. The graph is kept.
    /// </summary>
    /// <exception cref="ArgumentException">The output is not 0-dim or requires no gradient.</exception>
    /// <exception cref="LsmrException">A backward pass failed; the message says why.</exception>
    public static Tensor[] Of(Tensor output, params Tensor[] inputs) => Compute(output, inputs, createGraph: false);

    /// <summary>
    /// As <see cref="Of"/>, with gradients that can be differentiated again; through a least-squares solution that needs
    /// <see cref="GradientOptions.Order"/> of 2 or more. Unlike <c>backward(create_graph: true)</c> it leaves no cycle of a tensor, its
    /// gradient and the graph, which nothing frees.
    /// </summary>
    /// <exception cref="ArgumentException">The output is not 0-dim or requires no gradient.</exception>
    /// <exception cref="LsmrException">A backward pass failed; the message says why.</exception>
    public static Tensor[] Differentiable(Tensor output, params Tensor[] inputs) => Compute(output, inputs, createGraph: true);

    /// <summary>
    /// As <c>output.backward()</c>, for a 0-dim output: adds the gradients to the <c>.grad</c> of the leaves. What was
    /// added before a failure stays.
    /// </summary>
    /// <param name="output">A loss, say.</param>
    /// <param name="retainGraph">Whether the graph is kept for another pass.</param>
    /// <exception cref="ArgumentException">The output is not 0-dim or requires no gradient.</exception>
    /// <exception cref="LsmrException">The backward pass failed; the message says why.</exception>
    public static void Backward(Tensor output, bool retainGraph = false)
    {
        RequireOutput(output);
        using var scope = NewDisposeScope();
        using Tensor one = ones_like(output.detach());
        try {
            autograd.backward([output], [one], retainGraph);
        } catch (ExternalException native) {
            throw BackwardPass.Explained(native);
        }
    }

    private static Tensor[] Compute(Tensor output, Tensor[] inputs, bool createGraph)
    {
        RequireOutput(output);
        using var scope = NewDisposeScope();
        using Tensor one = ones_like(output.detach());
        Tensor?[] found;
        try {
            found = Backprop.Gradients([output], [one], inputs, true, createGraph);
        } catch (ExternalException native) {
            throw BackwardPass.Explained(native);
        }
        return [.. found.Zip(inputs, (gradient, input) => scope.MoveToOuter(gradient ?? zeros_like(input.detach())))];
    }

    private static void RequireOutput(Tensor output)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (output.numel() != 1)
            throw new ArgumentException($"The output must have one entry, but has shape {Text.Shape(output.shape)}.", nameof(output));
        if (!output.requires_grad)
            throw new ArgumentException("The output does not require a gradient.", nameof(output));
    }
}
