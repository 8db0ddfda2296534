using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// The formulas of <see cref="Lsmr.Jvp"/>. Their right-hand sides are the changes of products with x, r and y held fixed, which are
/// recorded and differentiated along the tangents (see <see cref="Linearization"/>).
/// </summary>
/// <remarks>
/// λ > 0: differentiate Aᵀ(b − A x) = λ²(x − x0). λ = 0: the derivative of the pseudo-inverse (Golub and Pereyra 1973). There
/// AᵀA (dx − q) = Aᵀ(db − dA x − A q) + dAᵀr has all three in one run if its right-hand side is in the row space of A, as
/// it always is for full column rank; q must not be dropped, since nothing says that the rank is full.
/// </remarks>
internal sealed class SolutionTangent(LinearOperator A, Tensor b, Tensor x, double damp,
    IReadOnlyList<(Tensor Input, Tensor Tangent)> tangents, LsmrOptions options)
{
    private readonly Tensor[] inputs = [.. tangents.Select(pair => pair.Input)];
    private readonly Tensor[] changes = [.. tangents.Select(pair => pair.Tangent.detach())];
    private readonly Tensor? x0 = options.Start, lambda = options.Damp.Tensor;
    private readonly BackwardRuns runs = new(A, damp, options);
    private readonly SolutionCheck check = new(A, damp, options);

    /// <summary>dx, in the current dispose scope.</summary>
    /// <exception cref="LsmrException">A run did not converge, and that is to throw.</exception>
    /// <exception cref="ArgumentException">x is not the solution for the operator as it is now.</exception>
    public Tensor Solve()
    {
        try {
            check.RequireSolution(b, x);
            return damp > 0 ? Damped() : Undamped();
        } catch (LsmrException failure) when (options.Gradient.WhenUnconverged == Unconverged.NaN) {
            Diagnostics.Fail($"The tangent of a least-squares solution is NaN: {failure.Message}");
            Tensor dx = zeros_like(x);
            Vectors.Fill(dx, double.NaN);
            return dx;
        }
    }

    private Tensor Damped()
    {
        var system = new NormalSystem(A, damp, options, forwardConverged: true);
        return system.Inverse(A, Change(() => A.VecMat(b.sub(A.MatVec(x))).sub(system.Damped(lambda, x0 is null ? x : x.sub(x0))!)) ?? zeros_like(x));
    }

    private Tensor Undamped()
    {
        Tensor r = b.sub(A.MatVec(x)), d = x0 is null ? x : x.sub(x0);
        Tensor change = Change(() => b.sub(A.MatVec(x))) ?? zeros_like(r);                 // db - dA x
        Tensor? dAtr = Change(() => A.VecMat(r));
        Tensor? q = x0 is null ? null : Change(() => x0);
        if (dAtr is not null) {
            Tensor y = runs.Minimise(A.T, d);
            check.RequireLeastNorm(d, y);
            Tensor dAty = Change(() => A.VecMat(y))!;
            q = q is null ? dAty : Vectors.Sum(q, dAty);
        }
        if (dAtr is not null && A.Rows >= A.Columns) {
            Tensor right = Vectors.Sum(A.VecMat(change.sub(A.MatVec(q!))), dAtr);
            (_, Tensor w, CraigmrResult run) = runs.Pair(right, options.Gradient.ToleranceIn(right.dtype));
            if (run.Stop != CraigmrStop.Inconsistent) {
                runs.Accept(run.Converged, run);
                return Vectors.Sum(q!, w);
            }
        }
        if (dAtr is not null)
            change = Vectors.Sum(change, runs.Minimise(A.T, dAtr));
        return runs.Minimise(A, change, q);
    }

    // The change of a function of the inputs along their tangents; null where it depends on none of them.
    private Tensor? Change(Func<Tensor> function) =>
        new Linearization(function, inputs, forwardProducts: true, createGraph: false).Product(changes);
}
