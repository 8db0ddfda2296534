using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Gradients;

/// <summary>Solutions and gradients of the small reference cases, SciPy's and lineax's test problems among them.</summary>
public class ReferenceCaseTests
{
    [TestCaseSource(typeof(RealData), nameof(RealData.SmallCases))]
    public void Solution_and_gradients_are_those_of_the_reference(object? row)
    {
        if (row is not RealData.SmallCase expected) {
            SharedData.Require("least_squares_cases.json");
            return;
        }
        using var scope = NewDisposeScope();
        Tensor A = tensor(expected.A_rowmajor).view(expected.M, expected.N).requires_grad_();
        Tensor b = tensor(expected.B).requires_grad_(), x0 = tensor(expected.X0).requires_grad_(), damp = tensor(expected.Damp, float64).requires_grad_();
        Tensor g = tensor(expected.G);

        LsmrResult result = linalg.lsmr(LinearOperator.FromMatrix(A), b, damp, x0, 1e-14, 1e-14, 1e12);
        Tensor[] found = Gradient.Of(result.Solution.mul(g).sum(), b, x0, damp, A);

        double floor = Math.Max(Vectors.Norm(g), 1e-3);     // references of zero are compared absolutely
        Check.Close(result.Solution, tensor(expected.X), 1e-9, "x", floor: 1);
        Check.Close(found[0], tensor(expected.DL_db), 1e-9, "dL/db", floor);
        Check.Close(found[1], tensor(expected.DL_dx0), 1e-9, "dL/dx0", floor);
        Check.Close(found[2], tensor(expected.DL_ddamp, float64), 1e-9, "dL/ddamp", floor);
        Check.Close(found[3], tensor(expected.DL_dA_rowmajor).view(expected.M, expected.N), 1e-9, "dL/dA", floor);
    }
}
