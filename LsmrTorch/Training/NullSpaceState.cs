using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <content>What a run needs to go on as if it had not stopped.</content>
public sealed partial class NullSpaceOptimizer
{
    private const string Mark = "LsmrTorch.NullSpaceOptimizer 2";

    /// <summary>
    /// Writes the number of steps, the metric, the mean correction and the last norm of J, and then the inner optimizer's own state by its <c>save_state_dict</c>.
    /// Options, the constraint and its masks, random numbers and the parameters are the caller's to keep.
    /// </summary>
    /// <exception cref="NotSupportedException">The inner optimizer cannot save its state.</exception>
    public void save_state_dict(BinaryWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        OptimizerHelper inner = Saving();
        writer.Write(Mark);
        writer.Write(Steps);
        writer.Write(jacobianNorm);
        writer.Write(parameters.Length);
        foreach (Parameter parameter in parameters) {
            bool isKnown = squares.TryGetValue(parameter, out (Tensor Mean, long Count) found);
            writer.Write(isKnown ? found.Count : 0);
            if (isKnown)
                found.Mean.Save(writer);
            bool isSmoothed = meanCorrections.TryGetValue(parameter, out Tensor? correction);
            writer.Write(isSmoothed);
            if (isSmoothed)
                correction!.Save(writer);
        }
        inner.save_state_dict(writer);
    }

    /// <summary>Reads what <see cref="save_state_dict"/> wrote, into an optimizer made as that one was.</summary>
    /// <exception cref="InvalidDataException">It is not that, or of other parameters.</exception>
    /// <exception cref="NotSupportedException">The inner optimizer cannot load a state.</exception>
    public void load_state_dict(BinaryReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        OptimizerHelper inner = Saving();
        if (reader.ReadString() != Mark)
            throw new InvalidDataException("This is not the state of a NullSpaceOptimizer.");
        (long steps, double norm, int count) = (reader.ReadInt64(), reader.ReadDouble(), reader.ReadInt32());
        if (count != parameters.Length)
            throw new InvalidDataException($"The state is of {count} parameters, but the optimizer has {parameters.Length}.");
        using var guard = no_grad();
        foreach (Parameter parameter in parameters) {
            if (squares.Remove(parameter, out (Tensor Mean, long Count) old))
                old.Mean.Dispose();
            if (reader.ReadInt64() is > 0 and var seen)
                squares[parameter] = (Read(parameter, reader), seen);
            if (meanCorrections.Remove(parameter, out Tensor? correction))
                correction.Dispose();
            if (reader.ReadBoolean())
                meanCorrections[parameter] = Read(parameter, reader);
        }
        inner.load_state_dict(reader);
        foreach (SGD.State state in inner.state_dict().State.OfType<SGD.State>())
            state.momentum_buffer?.DetachFromDisposeScope();    // TorchSharp 0.107 leaves them to the caller's scope
        (Steps, jacobianNorm) = (steps, norm);
    }

    private static Tensor Read(Parameter parameter, BinaryReader reader)
    {
        Tensor read = zeros_like(parameter).DetachFromDisposeScope();
        read.Load(reader);
        return read;
    }

    private OptimizerHelper Saving() => Inner as OptimizerHelper
        ?? throw new NotSupportedException($"The state of {Inner.GetType().Name} cannot be saved: TorchSharp gives it no state dictionary.");
}
