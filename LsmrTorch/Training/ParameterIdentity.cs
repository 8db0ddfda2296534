using System.Runtime.InteropServices;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Which parameters are one, and which share memory. A step that moves parameters one after the other moves memory
/// twice that belongs to two of them.
/// </summary>
internal static class ParameterIdentity
{
    /// <summary>
    /// The address of the native tensor. Two C# objects may stand for one, as those of <c>alias()</c> and of two calls
    /// of a script module's <c>parameters()</c> do; a handle is the place of a reference to it.
    /// </summary>
    public static nint Of(Tensor x) => Marshal.ReadIntPtr(x.Handle);

    /// <summary>The parameters in their order, each once, as for modules that share one.</summary>
    /// <exception cref="ArgumentException">One was disposed, or two share memory and are not one.</exception>
    public static Parameter[] Distinct(IEnumerable<Parameter> parameters, string name)
    {
        ArgumentNullException.ThrowIfNull(parameters, name);
        var seen = new HashSet<nint>();
        Parameter[] distinct = [.. parameters.Where(parameter => {
            RequireAlive(parameter, name);
            return seen.Add(Of(parameter));
        })];
        RequireApart(distinct, name);
        return distinct;
    }

    /// <exception cref="ArgumentException">There is none, or it was disposed.</exception>
    public static void RequireAlive(Parameter parameter, string name)
    {
        ArgumentNullException.ThrowIfNull(parameter, name);
        if (parameter.IsInvalid) {
            throw new ArgumentException(
                "A parameter was disposed. (Moving or converting a model replaces its parameters: take them "
                + "afterwards.)", name);
        }
    }

    /// <exception cref="ArgumentException">One is there twice; the rule says of what.</exception>
    public static void RequireOnce(IReadOnlyList<Tensor> parameters, string what)
    {
        var seen = new HashSet<nint>(parameters.Count);
        foreach (Tensor parameter in parameters) {
            if (!seen.Add(Of(parameter)))
                throw new ArgumentException(
                    $"{what} must list each parameter once, but one of shape {Text.Shape(parameter.shape)} is "
                    + "there twice.");
        }
    }

    /// <exception cref="ArgumentException">Two share memory, as a parameter and a view of it do.</exception>
    public static void RequireApart(IEnumerable<Tensor> distinct, string name)
    {
        Extent[] extents =
            [.. distinct.Select(Extent.Of).Where(extent => extent.Length > 0).OrderBy(extent => extent.Start)];
        for (int i = 0; i < extents.Length; i++) {
            for (int j = i + 1; j < extents.Length && extents[j].Start < extents[i].End; j++) {
                if (extents[i].Shares(extents[j])) {
                    throw new ArgumentException(
                        $"Parameters of shapes {Text.Shape(extents[i].Tensor.shape)} and "
                        + $"{Text.Shape(extents[j].Tensor.shape)} share memory "
                        + "without being one parameter, so that a step would move it twice: use one of them.", name);
                }
            }
        }
    }

    /// <summary>From the first byte of a tensor's entries to the last.</summary>
    private readonly record struct Extent(Tensor Tensor, nint Start, long Length)
    {
        public nint End => Start + (nint)Length;

        public static Extent Of(Tensor x)
        {
            if (x.numel() == 0 || x.is_sparse || x.is_meta)
                return new Extent(x, 0, 0);
            long last = x.shape.Zip(x.stride(), (size, stride) => (size - 1) * stride).Sum();
            return new Extent(x, Memory.Address(x), (last + 1) * x.ElementSize);
        }

        // Overlapping extents with gaps, as two columns of one matrix have, may have no entry in common.
        public bool Shares(Extent other)
        {
            if (Tensor.device_type != other.Tensor.device_type || Tensor.device_index != other.Tensor.device_index)
                return false;
            long size = Tensor.ElementSize, distance = other.Start - Start;
            if (other.Tensor.ElementSize != size || distance % size != 0)
                return true;
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            Tensor marks = zeros(Math.Max(Length, distance + other.Length) / size, ScalarType.Bool);
            using Scalar marked = true;
            marks.as_strided(Tensor.shape, Tensor.stride()).fill_(marked);
            return marks.as_strided(other.Tensor.shape, other.Tensor.stride(), distance / size).any().item<bool>();
        }
    }
}
