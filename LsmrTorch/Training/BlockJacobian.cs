using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The Jacobian of residuals in blocks, each depending on some parameters by an operator known in closed form. Residuals are one
/// vector, block after block; nothing is recorded.
/// </summary>
/// <param name="parameters">All that may move.</param>
/// <param name="blocks">Of each block, the places of parameters and their operators; a parameter that is missing does not matter to it.</param>
/// <param name="lengths">The number of residuals of each block.</param>
internal sealed class BlockJacobian(IReadOnlyList<Parameter> parameters, IReadOnlyList<(int Parameter, LinearOperator Operator)[]> blocks, long[] lengths)
    : LinearOperator([parameters.Sum(p => p.numel())], [lengths.Sum()], parameters[0].dtype, parameters[0].device)
{
    private readonly IReadOnlyList<(int Parameter, LinearOperator Operator)[]> blocks = blocks;
    private readonly long[] lengths = lengths;
    private readonly long[][] shapes = Shapes(parameters);

    /// <exception cref="ArgumentException">It is such a Jacobian, and no residual depends on a parameter, as where all
    /// are frozen.</exception>
    public static void RequireDependence(LinearOperator J)
    {
        if (J is BlockJacobian jacobian && jacobian.Rows > 0 && jacobian.blocks.All(row => row.Length == 0))
            throw new ArgumentException("The constraint depends on none of the parameters that may move.");
    }

    protected internal override Tensor MatVec(Tensor v)
    {
        using var scope = NewDisposeScope();
        Tensor[] parts = Vectors.Split(v, shapes);
        Tensor product = zeros([.. OutputShape], dtype, device);
        Tensor[] rows = Vectors.Split(product, [.. lengths.Select(length => new[] { length })]);
        for (int i = 0; i < rows.Length; i++) {
            foreach ((int place, LinearOperator block) in blocks[i])
                Vectors.AddScaled(rows[i], 1, block.MatVec(parts[place]).reshape(-1));
        }
        return scope.MoveToOuter(product);
    }

    protected internal override Tensor VecMat(Tensor u)
    {
        using var scope = NewDisposeScope();
        Tensor product = zeros([.. InputShape], dtype, device);
        Tensor[] parts = Vectors.Split(product, shapes), rows = Vectors.Split(u, [.. lengths.Select(length => new[] { length })]);
        for (int i = 0; i < rows.Length; i++) {
            foreach ((int place, LinearOperator block) in blocks[i])
                Vectors.AddScaled(parts[place], 1, block.VecMat(rows[i].reshape([.. block.OutputShape])));
        }
        return scope.MoveToOuter(product);
    }

    /// <summary>All of them in one, each by its weight: one pass over the parameters and not one for each.</summary>
    public static BlockJacobian Join(IReadOnlyList<Parameter> parameters, IEnumerable<(BlockJacobian Jacobian, double Weight)> parts)
    {
        (BlockJacobian Jacobian, double Weight)[] all = [.. parts];
        return new BlockJacobian(parameters, [.. all.SelectMany(part => part.Jacobian.Weighted(part.Weight))], [.. all.SelectMany(part => part.Jacobian.lengths)]);
    }

    private IEnumerable<(int, LinearOperator)[]> Weighted(double weight) =>
        weight == 1 ? blocks : blocks.Select(row => row.Select(block => (block.Parameter, weight * block.Operator)).ToArray());

    /// <summary>The place of a parameter among those that may move; −1 for one that is not there, as a frozen one.</summary>
    /// <exception cref="ArgumentException">It was disposed, or shares memory with one that may move.</exception>
    public static int Place(IReadOnlyList<Parameter> parameters, Parameter parameter)
    {
        ParameterIdentity.RequireAlive(parameter, nameof(parameter));
        nint sought = ParameterIdentity.Of(parameter);
        for (int i = 0; i < parameters.Count; i++) {
            if (ParameterIdentity.Of(parameters[i]) == sought)
                return i;
        }
        ParameterIdentity.RequireApart([.. parameters, parameter], nameof(parameter));
        return -1;
    }

    private static long[][] Shapes(IReadOnlyList<Parameter> parameters)
    {
        ParameterIdentity.RequireOnce(parameters, "The parameters that may move");
        return [.. parameters.Select(p => p.shape)];
    }
}
