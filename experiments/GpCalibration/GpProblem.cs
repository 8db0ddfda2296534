using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>One split of one set: its examples in the precision of the methods with features, their features, and the draws of each step.</summary>
internal sealed class GpProblem : IDisposable
{
    private static readonly Dictionary<string, Kernel> s_kernels = new() {
        ["squared-exponential"] = Kernel.SquaredExponential,
        ["matern32"] = Kernel.Matern32,
        ["matern52"] = Kernel.Matern52,
    };

    private readonly long _seed;
    private readonly Tensor[] _folds; // the numbers of the examples of each

    public GpProblem(UciSplit split, GpSizes sizes, long seed)
    {
        using var scope = NewDisposeScope();
        (Split, Sizes, _seed) = (split, sizes, seed);
        Inputs = (int)split.TrainInputs.shape[1];
        Count = split.TrainInputs.shape[0];
        ScalarType dtype = Count >= sizes.SinglePrecisionFrom ? float32 : float64;
        (X, Y, TestX) = (split.TrainInputs.to(dtype, copy: true), split.TrainTargets.to(dtype, copy: true), split.TestInputs.to(dtype, copy: true));
        Kernel = KernelOf(sizes.Kernel);
        using Generator frequencies = Seeds.Torch(seed, "frequencies"), order = Seeds.Torch(seed, "folds");
        Features = new RandomFeatures(Kernel, Inputs, sizes.Features, frequencies, dtype);
        _folds = [.. randperm(Count, int64, generator: order).tensor_split(sizes.Folds)];
        scope.MoveToOuter(X, Y, TestX);
        foreach (Tensor fold in _folds) {
            scope.MoveToOuter(fold);
        }
    }

    public UciSplit Split { get; }

    public GpSizes Sizes { get; }

    public int Inputs { get; }

    /// <summary>Training examples.</summary>
    public long Count { get; }

    public Kernel Kernel { get; }

    public RandomFeatures Features { get; }

    /// <summary>Training inputs and targets, and test inputs, in the dtype of the features.</summary>
    public Tensor X { get; }

    /// <inheritdoc cref="X"/>
    public Tensor Y { get; }

    /// <inheritdoc cref="X"/>
    public Tensor TestX { get; }

    /// <summary>
    /// The numbers of the examples of each fold, in the current dispose scope: all examples in folds that stay the same, or, where a step may not use
    /// so many, a random choice of them for the number of the draw, in <see cref="GpSizes.FoldsOfMany"/> folds.
    /// </summary>
    public Tensor[] Folds(int draw) =>
        UsesAll ? [.. _folds.Select(fold => fold.alias())] : Rows(draw).tensor_split(Sizes.FoldsOfMany);

    /// <summary>Whether a step uses all training examples.</summary>
    public bool UsesAll => Count <= Sizes.RowsPerStep;

    /// <summary>The numbers of the examples of a step of the feature-space likelihood: as many as ours uses in a step.</summary>
    public Tensor Rows(int draw)
    {
        using var scope = NewDisposeScope();
        Tensor all = arange(Count, int64);
        return scope.MoveToOuter(UsesAll ? all : Some(all, Sizes.RowsPerStep, "rows", draw));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in new[] { X, Y, TestX }.Concat(_folds)) {
            tensor.Dispose();
        }
        Features.Dispose();
    }

    /// <summary>All but one of the folds, in their order.</summary>
    public static T[] Others<T>(T[] folds, int one) => [.. folds.Where((_, i) => i != one)];

    private Tensor Some(Tensor numbers, long count, string use, int draw)
    {
        using Generator random = Seeds.Torch(_seed, use, draw);
        return numbers.index_select(0, randperm(numbers.shape[0], int64, generator: random).narrow(0, 0, count));
    }

    /// <summary>The kernels that <see cref="GpSizes.Kernel"/> can name.</summary>
    public static IReadOnlyCollection<string> KernelNames => s_kernels.Keys;

    private static Kernel KernelOf(string name) => s_kernels.TryGetValue(name, out Kernel? kernel) ? kernel
        : throw new ExperimentException($"There is no kernel '{name}': {string.Join(", ", KernelNames)} are there.");
}
