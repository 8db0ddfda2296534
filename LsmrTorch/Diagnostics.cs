using System.Text.RegularExpressions;

namespace LsmrTorch;

/// <summary>
/// Where the library says what is worth knowing but is no error, and why a backward pass failed. Without a listener the
/// first is dropped, and the second written to standard error, each kind of reason once.
/// </summary>
public static partial class Diagnostics
{
    private const int MostKinds = 20;

    private static readonly HashSet<string> written = [];

    /// <summary>
    /// Raised with one sentence: a backward solve that failed (with the reason that the native exception of
    /// <c>backward()</c> cannot carry), a constraint that leaves no freedom. Handlers run on the thread that solves;
    /// what they throw is dropped, since an exception inside a backward pass would end the process.
    /// </summary>
    public static event Action<string>? Warning;

    internal static void Warn(string sentence)
    {
        try {
            Warning?.Invoke(sentence);
        } catch (Exception) {
            // A listener's trouble is not the solve's.
        }
    }

    /// <summary>
    /// Says why gradients failed or are NaN: to the listeners, or without one to standard error, once for each kind.
    /// </summary>
    internal static void Fail(string sentence)
    {
        if (Warning is not null) {
            Warn(sentence);
            return;
        }
        lock (written) {
            if (written.Count >= MostKinds || !written.Add(Digits().Replace(sentence, "")))
                return;
            string rest = written.Count == MostKinds
                ? " Further reasons are not written: listen to LsmrTorch.Diagnostics.Warning." : "";
            try {
                Console.Error.WriteLine($"LsmrTorch: {sentence}{rest}");
            } catch (Exception) {
                // Nowhere to write to; an exception would end the process.
            }
        }
    }

    /// <summary>Forgets what was written, so that it would be again.</summary>
    internal static void Forget()
    {
        lock (written)
            written.Clear();
    }

    // Sentences that differ in numbers alone are of one kind.
    [GeneratedRegex(@"\d+")]
    private static partial Regex Digits();
}
