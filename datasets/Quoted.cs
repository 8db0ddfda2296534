using System.Globalization;
using System.Text;

namespace LsmrTorch.Datasets;

/// <summary>
/// Text from a file, a name or a command line as a message may show it: cut, on one line, and without characters that
/// steer a terminal or turn the direction of what follows.
/// </summary>
internal static class Quoted
{
    /// <summary>Characters of a quoted text that are shown.</summary>
    public const int LongestText = 40;

    /// <summary>Characters of a path that are shown: its end, which names the file.</summary>
    public const int LongestPath = 200;

    private const int LongestReason = 200;

    /// <summary>The text in single quotes, with … in place of what is beyond <see cref="LongestText"/> characters.</summary>
    public static string Text(ReadOnlySpan<char> text) => $"'{Plain(text)}'";

    /// <summary>The same without quotes, for a name in a table or a number.</summary>
    public static string Plain(ReadOnlySpan<char> text) =>
        text.Length <= LongestText ? Escaped(text) : Escaped(text[..LongestText]) + "…";

    /// <summary>What a parser says of a text, which it may repeat at any length: escaped, of at most 200 characters.</summary>
    public static string Reason(string message) =>
        message.Length <= LongestReason ? Escaped(message) : Escaped(message.AsSpan(0, LongestReason)) + "…";

    /// <summary>A path, with … in place of its beginning where it is longer than <see cref="LongestPath"/>.</summary>
    public static string Path(string path) =>
        path.Length <= LongestPath ? Escaped(path) : "…" + Escaped(path.AsSpan(path.Length - LongestPath));

    /// <summary>
    /// Everything, with control and format characters, line separators and halves of surrogate pairs written as \n, \t
    /// or \uXXXX.
    /// </summary>
    public static string Escaped(ReadOnlySpan<char> text)
    {
        var result = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++) {
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1])) {
                var rune = new Rune(text[i], text[i + 1]);
                if (IsHarmless(Rune.GetUnicodeCategory(rune))) {
                    result.Append(text.Slice(i, 2));
                } else {
                    result.Append(CultureInfo.InvariantCulture, $"\\U{rune.Value:X8}");
                }
                i++;
            } else if (IsHarmless(char.GetUnicodeCategory(text[i]))) {
                result.Append(text[i]);
            } else {
                result.Append(text[i] switch {
                    '\n' => "\\n",
                    '\r' => "\\r",
                    '\t' => "\\t",
                    char other => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)other:X4}"),
                });
            }
        }
        return result.ToString();
    }

    private static bool IsHarmless(UnicodeCategory category) => category is not (UnicodeCategory.Control
        or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse);
}
