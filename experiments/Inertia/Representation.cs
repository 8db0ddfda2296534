using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>
/// A representation of O(3): scalars, which stay, then vectors, which turn as gv, then tensors of second order, which turn as gTgᵀ; all in one vector
/// of numbers, the tensors row by row.
/// </summary>
internal sealed record Representation(int Scalars, int Vectors, int Tensors)
{
    /// <summary>How many numbers it has.</summary>
    public int Dimension => Scalars + (3 * Vectors) + (9 * Tensors);

    /// <summary>ρ(g) of one g, 3×3, as a matrix.</summary>
    public Tensor Of(Tensor g)
    {
        using var scope = NewDisposeScope();
        var blocks = new List<Tensor>();
        if (Scalars > 0) {
            blocks.Add(eye(Scalars, dtype: g.dtype));
        }
        blocks.AddRange(Enumerable.Repeat(g, Vectors));
        blocks.AddRange(Enumerable.Repeat(kron(g, g), Tensors));
        return block_diag([.. blocks]).MoveToOuterDisposeScope();
    }
}
