using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>
/// A loss and a constraint on weights of its own, drawn from the seed: every network of a problem has an instance, and all begin
/// alike and see the same points.
/// </summary>
internal abstract class OrderProblem : IDisposable
{
    /// <summary>What the third measure is in figures, or null where there is none.</summary>
    public virtual string? OtherName => null;

    /// <summary>The weights.</summary>
    public abstract Parameter[] Parameters { get; }

    /// <summary>What is held, at the points of the last <see cref="At"/>.</summary>
    public abstract Constraint Constraint { get; }

    /// <summary>The problem of a name.</summary>
    public static OrderProblem Of(ProblemSizes sizes, long seed, Device device) => sizes.Name switch {
        PeriodicProblem.Title => new PeriodicProblem(sizes, seed, device),
        LinearProblem.Title => new LinearProblem(sizes, seed, device),
        ConservativeProblem.Title => new ConservativeProblem(sizes, seed, device),
        SparseProblem.Title => new SparseProblem(sizes, seed, device),
        EquivariantProblem.Title => new EquivariantProblem(sizes, seed, device),
        _ => throw new ArgumentException($"There is no problem '{sizes.Name}'."),
    };

    /// <summary>Chooses what the constraint of a step is asked at, before it; points belong to the caller's scope.</summary>
    public abstract void At(int step);

    /// <summary>What is minimised in a step.</summary>
    public abstract Tensor Loss(int step);

    /// <summary>The loss, the size of c, and what <see cref="OtherName"/> says, where nothing was trained.</summary>
    public abstract OrderMeasure Measure();

    /// <summary>Puts into a checkpoint what is neither weights nor drawn again from the seed: nothing unless a problem says so.</summary>
    public virtual void Save(Dictionary<string, Tensor> tensors, string prefix)
    {
    }

    /// <summary>Takes it from there.</summary>
    public virtual void Load(IReadOnlyDictionary<string, Tensor> tensors, string prefix)
    {
    }

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>The numbers of a network.</summary>
internal readonly record struct OrderMeasure(double Loss, double Constraint, double? Other = null)
{
    /// <summary>Whether all are numbers.</summary>
    public bool IsFinite => double.IsFinite(Loss) && double.IsFinite(Constraint) && double.IsFinite(Other ?? 0);
}
