using LsmrTorch.Datasets;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>O(3), and what its elements do to point masses and to their matrices of inertia.</summary>
internal static class OrthogonalGroup
{
    /// <summary>Elements drawn evenly (by Haar's measure), count×3×3: the Q of a normal matrix, the signs of R's diagonal taken out (Mezzadri 2007).</summary>
    public static Tensor Draw(long count, Generator generator)
    {
        using var scope = NewDisposeScope();
        (Tensor q, Tensor r) = linalg.qr(randn([count, 3, 3], generator: generator));
        return q.mul(r.diagonal(0, 1, 2).sign().unsqueeze(1)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Elements whose products come near every other: a rotation by one radian, which no number of turns brings back, and one about another axis with
    /// the inversion.
    /// </summary>
    public static Tensor[] Generators()
    {
        (float c, float s) = ((float)Math.Cos(1), (float)Math.Sin(1));
        return [
            tensor(new float[] { 1, 0, 0, 0, c, -s, 0, s, c }).view(3, 3),
            tensor(new float[] { -c, s, 0, -s, -c, 0, 0, 0, -1 }).view(3, 3),
        ];
    }

    /// <summary>Each example, N×20 of masses and positions, under its own g of N×3×3.</summary>
    public static Tensor OnPoints(Tensor g, Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor positions = x.narrow(1, InertiaTask.Points, 3 * InertiaTask.Points).reshape(-1, InertiaTask.Points, 3).matmul(g.transpose(1, 2));
        return cat([x.narrow(1, 0, InertiaTask.Points), positions.reshape(-1, 3 * InertiaTask.Points)], 1).MoveToOuterDisposeScope();
    }

    /// <summary>gIgᵀ, of N×3×3 each.</summary>
    public static Tensor OnTensors(Tensor g, Tensor inertia)
    {
        using var scope = NewDisposeScope();
        return g.matmul(inertia).matmul(g.transpose(1, 2)).MoveToOuterDisposeScope();
    }
}
