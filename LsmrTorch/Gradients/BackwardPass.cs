using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// What the backward of a custom function must not do: throw, which ends the process. Such a function has a spare first
/// input of shape (2); a failure leaves as a gradient of another length for it, which libtorch refuses with an
/// exception out of the user's <c>backward()</c>. The length is the failure's number, and libtorch's message has it: so
/// the reason is found again, on whatever thread the pass ran.
/// </summary>
internal static partial class BackwardPass
{
    private const int SpareLength = 2, MostReasons = 64;

    // Native code copies the gradients after backward has returned. They may carry a graph that leads back to the node
    // itself, so the node must not hold them: then neither would ever be freed.
    [ThreadStatic]
    private static List<Tensor?>? returned;

    private static readonly ConcurrentDictionary<long, Exception> reasons = [];
    private static long lastNumber = SpareLength;

    /// <summary>A spare input, in the current dispose scope.</summary>
    public static Tensor Spare(Tensor like) => zeros(SpareLength, like.dtype, like.device, requires_grad: true);

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
            Exception reason = failure is ExternalException native && Reason(native) is { } inner ? inner : failure;
            Diagnostics.Fail(Sentence(reason));
            using Tensor zero = zeros(1);
            returned = [zero.expand(Keep(reason)), .. new Tensor?[inputs - 1]];
        }
        returned.AddRange(new Tensor?[inputs - returned.Count]);
        return returned!;
    }

    /// <summary>The tensors that the node saved, one of which may have been changed in place since.</summary>
    /// <exception cref="InvalidOperationException">One was.</exception>
    public static List<Tensor> Saved(autograd.AutogradContext ctx)
    {
        try {
            return ctx.get_saved_variables();
        } catch (ExternalException native) {
            throw new InvalidOperationException("A tensor that the backward pass needs, one that the operator has "
                + "or the solution, was changed in place after the solve: change it after backward(), or a copy of it "
                + $"({FirstLine(native)})", native);
        }
    }

    /// <summary>
    /// What libtorch's exception out of a backward pass means: the reason of a failure of ours, if that is what it
    /// tells.
    /// </summary>
    public static LsmrException Explained(ExternalException native) =>
        Reason(native) is { } reason ? new LsmrException(Sentence(reason), reason)
        : native.Message.Contains("modified by an inplace operation") ? new LsmrException(
            "A backward pass failed: a tensor that the graph was recorded with, as one that a closure captures, was "
            + $"changed in place before it ({FirstLine(native)})", native)
        : new LsmrException($"A backward pass failed: {FirstLine(native)}", native);

    private static string Sentence(Exception reason) => "A gradient through a least-squares solution failed: "
        + (reason is ExternalException native ? FirstLine(native) : reason.Message);

    private static string FirstLine(Exception native) => native.Message.Split('\n')[0];

    private static long Keep(Exception reason)
    {
        long number = Interlocked.Increment(ref lastNumber);
        reasons[number] = reason;
        reasons.TryRemove(number - MostReasons, out _);
        return number;
    }

    private static Exception? Reason(ExternalException native)
    {
        Match match = Refused().Match(native.Message);
        return match.Success && long.TryParse(match.Groups[1].Value, CultureInfo.InvariantCulture, out long number)
            && reasons.TryGetValue(number, out Exception? reason) ? reason : null;
    }

    [GeneratedRegex(@"CSharpNode returned an invalid gradient at index \d+ - got \[(\d+)\]")]
    private static partial Regex Refused();
}
