using System.Runtime.InteropServices;

namespace LsmrTorch.Experiments.LeastSquares;

/// <summary>Gives a failed backward pass its reason back, which it loses on its way through libtorch.</summary>
internal static class Explained
{
    /// <summary>Runs something that differentiates through a solution.</summary>
    /// <exception cref="LsmrException">The library refused or failed; the message is its reason.</exception>
    public static T Run<T>(Func<T> differentiate)
    {
        string? reason = null;
        Action<string> listen = sentence => reason = sentence;
        Diagnostics.Warning += listen;
        try {
            return differentiate();
        } catch (ExternalException error) {
            throw new LsmrException(reason ?? error.Message.Split('\n')[0]);
        } finally {
            Diagnostics.Warning -= listen;
        }
    }
}
