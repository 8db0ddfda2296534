using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Reverse products through recorded graphs. TorchSharp's <c>autograd.grad</c> ends the process on any native error;
/// <c>autograd.backward</c> with inputs gives the same product at the same price and raises errors as exceptions, but
/// accumulates into <c>.grad</c>, which is therefore set aside for the length of the call.
/// </summary>
internal static class Backprop
{
    /// <summary>
    /// The gradients of Σ ⟨outputs, cotangents⟩ with respect to <paramref name="inputs"/>, in their order; null where an
    /// output does not depend on the input. The inputs' own <c>.grad</c> is as it was afterwards.
    /// </summary>
    /// <exception cref="System.Runtime.InteropServices.ExternalException">No output requires a gradient, or a recorded tensor was changed in place.</exception>
    public static Tensor?[] Gradients(IList<Tensor> outputs, IList<Tensor> cotangents, IReadOnlyList<Tensor> inputs,
        bool retainGraph, bool createGraph)
    {
        if (createGraph)
            CreateGraphWarning.Silence();
        Tensor?[] before = [.. inputs.Select(input => input.grad)];
        try {
            foreach (Tensor input in inputs)
                input.grad = null;
            autograd.backward(outputs, cotangents, retainGraph, createGraph, [.. inputs]);
            return [.. inputs.Select(input => input.grad)];
        } finally {
            for (int i = 0; i < before.Length; i++) {
                inputs[i].grad = before[i]; // also breaks the cycle input -> grad -> graph -> input of create_graph
                before[i]?.Dispose();
            }
        }
    }
}
