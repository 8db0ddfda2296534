namespace LsmrTorch;

/// <summary>Where the library says what is worth knowing but is no error. Silent without a listener.</summary>
public static class Diagnostics
{
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
}
