using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>What an optimizer's state belongs to, at the head of the state: nothing is read into another
/// optimizer.</summary>
/// <param name="inner">The type of the inner optimizer.</param>
/// <param name="lists">The parameters that the constraint may move, and those of each group of the inner
/// optimizer.</param>
internal sealed class StateDescription(string inner, IEnumerable<IEnumerable<Parameter>> lists)
{
    private readonly (ScalarType Dtype, long[] Shape)[][] lists =
        [.. lists.Select(list => list.Select(p => (p.dtype, p.shape)).ToArray())];

    public void Write(BinaryWriter writer)
    {
        writer.Write(inner);
        writer.Write(lists.Length);
        foreach ((ScalarType Dtype, long[] Shape)[] list in lists) {
            writer.Write(list.Length);
            foreach ((ScalarType dtype, long[] shape) in list) {
                writer.Write((int)dtype);
                writer.Write(shape.Length);
                foreach (long size in shape)
                    writer.Write(size);
            }
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="InvalidDataException">It is of another optimizer; the sentence names the first
    /// difference.</exception>
    public void RequireThatOf(BinaryReader reader)
    {
        string found = reader.ReadString();
        if (found != inner)
            throw new InvalidDataException($"The state is of {Cut(found)}, but the inner optimizer is {inner}.");
        int groups = reader.ReadInt32() - 1;
        if (groups != lists.Length - 1)
            throw new InvalidDataException(
                $"The state is of {groups} parameter groups, but the inner optimizer has {lists.Length - 1}.");
        for (int i = 0; i < lists.Length; i++) {
            string whose = i == 0 ? "the optimizer" : $"group {i} of the inner optimizer";
            int count = reader.ReadInt32();
            if (count != lists[i].Length)
                throw new InvalidDataException(
                    $"The state is of {count} parameters, but {whose} has {lists[i].Length}.");
            foreach ((ScalarType dtype, long[] shape) in lists[i]) {
                var foundDtype = (ScalarType)reader.ReadInt32();
                int dimensions = reader.ReadInt32();
                long[] sizes = [.. Enumerable.Range(0, dimensions is >= 0 and <= 64 ? dimensions
                    : 0).Select(_ => reader.ReadInt64())];
                if (foundDtype != dtype || !sizes.SequenceEqual(shape) || dimensions != shape.Length) {
                    throw new InvalidDataException(
                        $"The state is of a {foundDtype} parameter of shape {Text.Shape(sizes)}, but that of "
                        + $"{whose} is {dtype} of {Text.Shape(shape)}.");
                }
            }
        }
    }

    // What a damaged file calls a name may be long and no text.
    private static string Cut(string name) =>
        string.Concat(name.Take(40).Select(c => c is >= ' ' and <= '~' ? c : '?'));
}
