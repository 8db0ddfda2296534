using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// What the backward of a custom function must not do: throw, which ends the process. Such a function has a spare first input of
/// shape (1); a failure leaves as a 0-dim gradient for it, which libtorch refuses with an exception out of the user's <c>backward()</c>.
/// </summary>
internal static class BackwardPass
{
    // Native code copies the gradients after backward has returned. They may carry a graph that leads back to the node
    // itself, so the node must not hold them: then neither would ever be freed.
    [ThreadStatic]
    private static List<Tensor?>? returned;

    /// <summary>A spare input, in the current dispose scope.</summary>
    public static Tensor Spare(Tensor like) => zeros(1, like.dtype, like.device, requires_grad: true);

    /// <summary>The gradients for the spare input (none) and those after it, moved to the caller's dispose scope.</summary>
    public static List<Tensor> Run(int inputs, Func<Tensor?[]> gradients)
    {
        try {
            using var scope = NewDisposeScope();
            returned = [null, .. gradients()];
            foreach (Tensor? gradient in returned) {
                if (gradient is not null)
                    scope.MoveToOuter(gradient);
            }
        } catch (Exception failure) {
            Diagnostics.Warn($"A gradient through a least-squares solution failed: {failure.Message}");
            returned = [zeros(Array.Empty<long>()), .. new Tensor?[inputs - 1]];
        }
        returned.AddRange(new Tensor?[inputs - returned.Count]);
        return returned!;
    }
}
