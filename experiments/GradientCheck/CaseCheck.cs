using LsmrTorch.Datasets;
using LsmrTorch.Experiments.LeastSquares;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>A case with its errors, or with the sentence that was thrown.</summary>
internal sealed record CaseResult(int Index, string Name, CellErrors? Errors, string? Failure);

/// <summary>Solves a case of a file through the library, float64 and dense, and compares with the file's references.</summary>
internal static class CaseCheck
{
    /// <summary>Never throws for what the library says about the mathematics; that is the case's failure.</summary>
    public static CaseResult Run(int index, ReferenceCase at, Device device)
    {
        (CellErrors? errors, string? failure) = Layer.Try(() => Compare(at, device));
        return new CaseResult(index, Quoted.Plain(at.Name), errors, failure);
    }

    private static CellErrors Compare(ReferenceCase at, Device device)
    {
        Tensor matrix = tensor(at.Matrix).view(at.Rows, at.Columns);
        (Tensor b, Tensor x0, Tensor g) = (tensor(at.RightHandSide), tensor(at.Start), tensor(at.Cotangent));
        Tensor[] inputs = [.. new[] { b, tensor(at.Damp), x0, matrix }.Select(x => x.to(device, copy: true).requires_grad_())];
        (LsmrResult result, Tensor[] found) = Layer.Solve(LinearOperator.FromMatrix(inputs[3]), inputs, g.to(device));

        // The references are the file's; dense algebra says only how large each could be, for those that are zero.
        var truth = new DenseTruth(Factors.Of(matrix), at.Rank, at.Damp, b, x0, g);
        return new CellErrors(
            X: DenseTruth.Error(result.Solution, tensor(at.Solution), truth.SolutionFloor),
            B: DenseTruth.Error(found[0], tensor(at.RhsGradient), truth.RhsFloor),
            A: DenseTruth.Error(found[3], tensor(at.MatrixGradient).view(at.Rows, at.Columns), truth.MatrixFloor),
            Damp: DenseTruth.Error(found[1], tensor(at.DampGradient), truth.DampFloor),
            X0: DenseTruth.Error(found[2], tensor(at.StartGradient), truth.StartFloor),
            Difference: null,
            Iterations: result.Iterations);
    }
}
