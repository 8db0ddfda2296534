using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>Training, held-out and test points of one seed; the matrices are divided by the training ones' root mean square, which every g leaves as it is.</summary>
internal sealed class InertiaData : IDisposable
{
    private readonly Set _training;

    public InertiaData(int count, InertiaSizes sizes, long seed)
    {
        Seed = seed;
        using InertiaTask raw = InertiaTask.Generate(count, Seeds.Derive(seed, "training"));
        using Tensor squares = raw.Inertia.square();
        using Tensor mean = squares.mean();
        float scale = 1 / MathF.Sqrt(mean.item<float>());
        _training = New(raw, scale, seed, "training");
        using InertiaTask held = InertiaTask.Generate(sizes.HeldOutPoints, Seeds.Derive(seed, "held out"));
        HeldOut = New(held, scale, seed, "held out");
        using InertiaTask test = InertiaTask.Generate(sizes.TestPoints, Seeds.Derive(seed, "test"));
        Test = New(test, scale, seed, "test");
    }

    public long Seed { get; }

    public Set HeldOut { get; }

    public Set Test { get; }

    /// <summary>Training points drawn for a step, in the current dispose scope.</summary>
    public (Tensor X, Tensor Inertia) Batch(long number, int size)
    {
        Random random = Seeds.Managed(Seed, "batch", number);
        long count = _training.X.size(0);
        using Tensor at = tensor([.. Enumerable.Range(0, size).Select(_ => random.NextInt64(count))]);
        return (_training.X.index_select(0, at), _training.Inertia.index_select(0, at));
    }

    /// <summary>Elements of O(3) drawn for a step, in the current dispose scope.</summary>
    public Tensor Elements(string use, long number, long count)
    {
        using Generator generator = Seeds.Torch(Seed, use, number);
        return OrthogonalGroup.Draw(count, generator);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _training.Dispose();
        HeldOut.Dispose();
        Test.Dispose();
    }

    private static Set New(InertiaTask task, float scale, long seed, string name)
    {
        using var scope = NewDisposeScope();
        using Scalar factor = scale.ToScalar();
        using Generator generator = Seeds.Torch(seed, name + " elements");
        Tensor x = cat([task.Masses, task.Positions.reshape(-1, 3 * InertiaTask.Points)], 1);
        return new Set(x.DetachFromDisposeScope(), task.Inertia.mul(factor).DetachFromDisposeScope(), OrthogonalGroup.Draw(x.size(0), generator).DetachFromDisposeScope());
    }

    /// <summary>Points N×20, their matrices N×3×3, and an element of O(3) for each.</summary>
    internal sealed record Set(Tensor X, Tensor Inertia, Tensor Elements) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose()
        {
            X.Dispose();
            Inertia.Dispose();
            Elements.Dispose();
        }
    }
}
