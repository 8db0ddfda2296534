using LsmrTorch.Experiments.LeastSquares;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>The library as the checks use it: every tolerance at its floor, and no failure hidden.</summary>
internal static class Layer
{
    /// <summary>The gradients of ⟨g, x⟩ to the inputs b, λ, x0 and what the operator is made of; float64 on the CPU.</summary>
    /// <exception cref="LsmrException">The library refused or failed; the message is its reason.</exception>
    public static (LsmrResult Result, Tensor[] Found) Solve(LinearOperator a, Tensor[] inputs, Tensor g) => Explained.Run(() => {
        LsmrResult result = Lsmr.Solve(a, inputs[0], new LsmrOptions {
            Damp = inputs[1],
            Start = inputs[2],
            Atol = 0,
            Btol = 0,
            ConditionLimit = double.PositiveInfinity,
            Gradient = new GradientOptions { Tolerance = 0 },
        });
        Tensor[] found = Gradient.Of(result.Solution.mul(g).sum(), inputs);
        return (result, found.Select(gradient => gradient.cpu().to_type(float64)).ToArray());
    });

    /// <summary>The errors, or the sentence with which the library refused or failed.</summary>
    public static (CellErrors? Errors, string? Failure) Try(Func<CellErrors> compare)
    {
        using var scope = NewDisposeScope();
        try {
            CellErrors errors = compare();
            return double.IsFinite(errors.Worst) ? (errors, null) : (null, "A solution or a gradient is not finite.");
        } catch (LsmrException error) {
            return (null, error.Message);
        }
    }
}
