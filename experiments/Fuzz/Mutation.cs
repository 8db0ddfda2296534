using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using ICSharpCode.SharpZipLib.Checksum;

namespace LsmrTorch.Experiments.Fuzz;

/// <summary>Ways to damage the bytes of a valid file.</summary>
internal static class Mutation
{
    private static readonly string[] s_numbers = [
        "0", "-1", "1", "2147483647", "2147483648", "4294967295", "9223372036854775807", "9223372036854775808",
        "99999999999999999999999", "1e999", "-1e999", "1e308", "1e-400", "1e200", "1e-200", "NaN", "nan", "Infinity", "-inf", "+",
        "0x10", "1,5", "1.5", "", " ", "\u0000", "٣", "1e", ".", "--1", "00000000000000000001",
    ];

    private static readonly byte[][] s_words = [
        [0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0x7F, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F], [0x80, 0, 0, 0],
        [0, 0, 0, 0x80], [0, 0, 0xFD, 0xE8], [0, 0, 0x75, 0x30], [0xFF, 0xFF], [0, 0], [0, 0, 0, 0, 0, 0, 0xF0, 0x7F],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
    ];

    /// <summary>One to four kinds of damage, one after the other; <paramref name="others"/> are files to mix in.</summary>
    public static byte[] Of(byte[] content, IReadOnlyList<byte[]> others, Random random)
    {
        if (random.Next(40) == 0) {
            return others[random.Next(others.Count)];                                   // another file under this name
        }
        if (random.Next(60) == 0) {
            return Noise(random.Next(4096), random);
        }
        byte[]? expanded = content is [0x1f, 0x8b, ..] && random.Next(3) > 0 ? Expanded(content) : null; // or the bytes themselves
        byte[] result = expanded ?? content;
        for (int count = 1 + (random.Next(3) * random.Next(2)); count > 0; count--) {
            result = Once(result, others, random);
        }
        return expanded is null ? result : Compressed(result);
    }

    private static byte[] Once(byte[] bytes, IReadOnlyList<byte[]> others, Random random)
    {
        int at = random.Next(bytes.Length + 1), end = at + random.Next(Math.Min(bytes.Length - at, 256) + 1);
        switch (random.Next(13)) {
            case 0: return bytes[..at];                                                 // cut short
            case 1: return Flipped(bytes, random);
            case 2: return [.. bytes[..at], .. Noise(random.Next(64), random), .. bytes[at..]];
            case 3: return [.. bytes[..end], .. bytes[at..end], .. bytes[end..]];       // a block twice
            case 4: return [.. bytes[..at], .. bytes[end..]];                           // a block left out
            case 5: return Overwritten(bytes, at, s_words[random.Next(s_words.Length)]);
            case 6: return Overwritten(bytes, at, Noise(1 + random.Next(16), random));
            case 7 or 8: return Renumbered(bytes, random);
            case 9: return Mixed(bytes, at, others[random.Next(others.Count)], random);
            case 10: return [.. bytes[..at], .. Filled(random.Next(8) == 0 ? 1 << 22 : random.Next(5000), random), .. bytes[at..]];
            case 11: return Resized(bytes, random);
            default: return [.. bytes[at..], .. bytes[..at]];                           // turned round
        }
    }

    private static byte[] Flipped(byte[] bytes, Random random)
    {
        byte[] result = [.. bytes];
        for (int count = 1 + random.Next(8); count > 0 && result.Length > 0; count--) {
            result[random.Next(result.Length)] ^= (byte)(1 << random.Next(8));
        }
        return result;
    }

    private static byte[] Overwritten(byte[] bytes, int at, byte[] word)
    {
        byte[] result = [.. bytes];
        word.AsSpan(0, Math.Min(word.Length, result.Length - at)).CopyTo(result.AsSpan(at));
        return result;
    }

    // A number of the text becomes another one; a file without digits gets one somewhere.
    private static byte[] Renumbered(byte[] bytes, Random random)
    {
        byte[] number = Encoding.UTF8.GetBytes(s_numbers[random.Next(s_numbers.Length)]);
        int near = random.Next(random.Next(2) == 0 ? Math.Min(bytes.Length, 100) + 1 : bytes.Length + 1); // headers more often
        int found = bytes.AsSpan(near).IndexOfAnyInRange((byte)'0', (byte)'9');
        int start = found < 0 ? near : near + found, end = start;
        while (end < bytes.Length && bytes[end] is >= (byte)'0' and <= (byte)'9' or (byte)'.' or (byte)'e') {
            if (++end == bytes.Length) {
                break;
            }
        }
        return [.. bytes[..start], .. number, .. bytes[end..]];
    }

    private static byte[] Mixed(byte[] bytes, int at, byte[] other, Random random)
    {
        int from = random.Next(other.Length + 1);
        return [.. bytes[..at], .. other[from..(from + random.Next(Math.Min(other.Length - from, 512) + 1))], .. bytes[at..]];
    }

    private static byte[] Filled(int length, Random random)
    {
        byte[] result = new byte[length];
        Array.Fill(result, " \n\0,1%\"[ÿ"u8[random.Next(10)]);
        return result;
    }

    // The size in a PNG's header, with its checksum made right again, or in a JPEG's.
    private static byte[] Resized(byte[] bytes, Random random)
    {
        byte[] result = [.. bytes];
        byte[] size = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(size, random.Next(4) switch { 0 => random.Next(), 1 => 30_000, 2 => random.Next(70_000), _ => random.Next(64) });
        int header = bytes.AsSpan().IndexOf("IHDR"u8), frame = bytes.AsSpan().IndexOf(new byte[] { 0xFF, 0xC0 });
        if (header >= 0 && header + 21 <= bytes.Length) {
            size.CopyTo(result, header + 4 + (4 * random.Next(2)));
            var crc = new Crc32();
            crc.Update(new ArraySegment<byte>(result, header, 17));
            BinaryPrimitives.WriteUInt32BigEndian(result.AsSpan(header + 17), (uint)crc.Value);
        } else if (frame >= 0 && frame + 9 <= bytes.Length) {
            size.AsSpan(2).CopyTo(result.AsSpan(frame + 5 + (2 * random.Next(2))));
        }
        return result;
    }

    private static byte[] Noise(int length, Random random)
    {
        byte[] result = new byte[length];
        random.NextBytes(result);
        return result;
    }

    // Null where the compression has been damaged before.
    private static byte[]? Expanded(byte[] content)
    {
        using var expanded = new MemoryStream();
        try {
            using var gzip = new GZipStream(new MemoryStream(content), CompressionMode.Decompress);
            gzip.CopyTo(expanded);
            return expanded.ToArray();
        } catch (InvalidDataException) {
            return null;
        }
    }

    private static byte[] Compressed(byte[] content)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true)) {
            gzip.Write(content);
        }
        return compressed.ToArray();
    }
}
