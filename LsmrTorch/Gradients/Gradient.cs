using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>Gradients without the risk of TorchSharp's <c>autograd.grad</c>, which ends the process on any error.</summary>
public static class Gradient
{
    /// <summary>
    /// The gradients of a 0-dim <paramref name="output"/> with respect to <paramref name="inputs"/>, in their order and shapes; zeros
    /// where the output does not depend on an input. The inputs' <c>.grad</c> stays as it was. The graph is kept.
    /// </summary>
    /// <exception cref="ArgumentException">The output is not 0-dim or requires no gradient.</exception>
    /// <exception cref="System.Runtime.InteropServices.ExternalException">A backward pass failed; <see cref="Diagnostics.Warning"/> had the reason.</exception>
    public static Tensor[] Of(Tensor output, params Tensor[] inputs) => Compute(output, inputs, createGraph: false);

    /// <summary>
    /// As <see cref="Of"/>, with gradients that can be differentiated again; through a least-squares solution that needs
    /// <see cref="GradientOptions.Order"/> of 2 or more. Unlike <c>backward(create_graph: true)</c> it leaves no cycle of a tensor, its
    /// gradient and the graph, which nothing frees.
    /// </summary>
    /// <exception cref="ArgumentException">The output is not 0-dim or requires no gradient.</exception>
    /// <exception cref="System.Runtime.InteropServices.ExternalException">A backward pass failed; <see cref="Diagnostics.Warning"/> had the reason.</exception>
    public static Tensor[] Differentiable(Tensor output, params Tensor[] inputs) => Compute(output, inputs, createGraph: true);

    private static Tensor[] Compute(Tensor output, Tensor[] inputs, bool createGraph)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (output.numel() != 1)
            throw new ArgumentException($"The output must have one entry, but has shape {Text.Shape(output.shape)}.", nameof(output));
        if (!output.requires_grad)
            throw new ArgumentException("The output does not require a gradient.", nameof(output));
        using var scope = NewDisposeScope();
        Tensor one = ones_like(output.detach());
        Tensor?[] found = Backprop.Gradients([output], [one], inputs, true, createGraph);
        return [.. found.Zip(inputs, (gradient, input) => scope.MoveToOuter(gradient ?? zeros_like(input.detach())))];
    }
}
