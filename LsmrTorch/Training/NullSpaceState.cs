using System.Reflection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <content>What a run needs to go on as if it had not stopped.</content>
public sealed partial class NullSpaceOptimizer
{
    private const string Mark = "LsmrTorch.NullSpaceOptimizer 3";
    private const string MarkWithoutShapes = "LsmrTorch.NullSpaceOptimizer 2";

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
        Describe(inner).Write(writer);
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

    /// <summary>
    /// Reads what <see cref="save_state_dict"/> wrote, into an optimizer made as that one was. The tensors that it
    /// reads belong to the optimizers, whatever dispose scope is open.
    /// </summary>
    /// <exception cref="InvalidDataException">
    /// It is not that, or of another inner optimizer or other parameters, and nothing was read; or it is damaged, and a
    /// part of it was read.
    /// </exception>
    /// <exception cref="NotSupportedException">The inner optimizer cannot load a state.</exception>
    public void load_state_dict(BinaryReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        OptimizerHelper inner = Saving();
        try {
            string mark = ReadMark(reader);
            if (mark == Mark)
                Describe(inner).RequireThatOf(reader);
            else if (mark != MarkWithoutShapes)
                throw new InvalidDataException("This is not the state of a NullSpaceOptimizer.");
            (long steps, double norm) = ReadOwn(reader);
            ReadInner(inner, reader);
            (Steps, jacobianNorm) = (steps, norm);
        } catch (Exception damage) when (damage is not (InvalidDataException or OutOfMemoryException)) {
            throw new InvalidDataException($"The state cannot be read to its end: {damage.Message}", damage);
        }
    }

    private static string ReadMark(BinaryReader reader)
    {
        try {
            return reader.ReadString();
        } catch (Exception damage) when (damage is EndOfStreamException or FormatException) {
            return "";
        }
    }

    private (long Steps, double JacobianNorm) ReadOwn(BinaryReader reader)
    {
        (long steps, double norm, int count) = (reader.ReadInt64(), reader.ReadDouble(), reader.ReadInt32());
        if (count != parameters.Length)
            throw new InvalidDataException($"The state is of {count} parameters, but the optimizer has {parameters.Length}.");
        if (steps < 0 || !(norm >= 0 && double.IsFinite(norm)))
            throw new InvalidDataException(
                $"The state is damaged: it is of step {steps} and has a Jacobian's norm of {Text.Number(norm)}.");
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
        return (steps, norm);
    }

    private static Tensor Read(Parameter parameter, BinaryReader reader)
    {
        using var scope = NewDisposeScope();
        Tensor read = zeros_like(parameter);
        read.Load(reader);
        return read.DetachFromDisposeScope();
    }

    // TorchSharp 0.107 makes some buffers anew in the caller's scope: momentum of SGD and RMSProp, means of centred
    // RMSProp, maxima of Adam and AdamW (AMSGrad). A buffer that is not there yet takes the shape that the file says;
    // one that is there must have it.
    private static void ReadInner(OptimizerHelper inner, BinaryReader reader)
    {
        OptimizerState[] states = [.. inner.state_dict().State];
        using var guard = no_grad();
        try {
            foreach ((OptimizerState state, Parameter parameter) in states.Zip(inner.parameters())) {
                if (state is SGD.State descent)
                    descent.momentum_buffer ??= zeros_like(parameter);
                else if (state is Adam.State adam)
                    adam.max_exp_avg_sq ??= zeros_like(parameter);
                else if (state is AdamW.State decoupled)
                    decoupled.max_exp_avg_sq ??= zeros_like(parameter);
            }
            inner.load_state_dict(reader);
        } catch (InvalidDataException mismatch) {
            throw new InvalidDataException(
                $"The state is of another inner optimizer than {inner.GetType().Name}, or damaged.", mismatch);
        } finally {
            foreach (Tensor buffer in states.SelectMany(Buffers))
                buffer.DetachFromDisposeScope();
        }
    }

    // Of TorchSharp's optimizers and of any other: the tensors that a state holds, but for its parameter.
    private static IEnumerable<Tensor> Buffers(OptimizerState state) => state.GetType()
        .GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
        .Where(field => field.FieldType == typeof(Tensor))
        .Select(field => field.GetValue(state)).OfType<Tensor>().Where(buffer => !buffer.IsInvalid);

    private StateDescription Describe(OptimizerHelper inner) =>
        new(inner.GetType().Name,
            [parameters, .. inner.ParamGroups.OfType<ParamGroup>().Select(group => group.Parameters)]);

    private OptimizerHelper Saving() => Inner as OptimizerHelper
        ?? throw new NotSupportedException($"The state of {Inner.GetType().Name} cannot be saved: TorchSharp gives it no state dictionary.");
}
