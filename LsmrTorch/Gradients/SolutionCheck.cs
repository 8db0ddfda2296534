using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Whether a vector that is said to be the solution is one, of the operator as it is now: by the rules that LSMR stops
/// by, with the true residuals, and the allowances that its audit makes.
/// </summary>
internal sealed class SolutionCheck(LinearOperator A, double damp, LsmrOptions options)
{
    private const double Slack = 4;     // as in the audit: the norms are estimates

    /// <summary>Refuses an x that does not satisfy Aᵀ(b − A x) = λ²(x − x0).</summary>
    /// <exception cref="ArgumentException">It does not; where the options say so it is an <see cref="LsmrException"/>,
    /// or accepted.</exception>
    public void RequireSolution(Tensor b, Tensor x)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor? x0 = options.Start?.detach();
        Tensor d = x0 is null ? x : x.sub(x0);
        LinearOperator products = A.Prepare();
        (Tensor r, Tensor normal) = Augmented.Residual(products, b.detach(), x);
        Vectors.AddScaled(normal, -damp * damp, d);
        var rules = new LsmrRules(options, A, damp);
        double roundoff = SolveAudit.RoundoffAllowance * Vectors.Epsilon(A.dtype), own = Size(products, damp);
        double residual = double.Hypot(Vectors.Norm(r), damp * Vectors.Norm(d)), rhs = Vectors.Norm(b.detach());
        double sizes = rhs + own * (Vectors.Norm(x) + (x0 is null ? 0 : Vectors.Norm(x0)));
        double found = Vectors.Norm(normal), size = own, asked = found;
        if (options.Preconditioner is { } P)        // the solve's tolerance was one of Pᵀ times this
            (asked, size) = (Vectors.Norm(Augmented.TransposedProduct(P, normal)),
                Size(Augmented.Operator(products, damp) * P, 0));

        bool isSmall = residual <= Slack * (rules.Btol * rhs + rules.Atol * own * Vectors.Norm(x)) + roundoff * sizes;
        bool isOrthogonal = asked <= Slack * rules.Atol * size * residual + roundoff * size * sizes;
        if (isSmall || isOrthogonal)
            return;
        Refuse("The solution must satisfy Aᵀ(b − A x) = λ²(x − x0) for the operator, b and options given, but the "
            + $"difference is {Text.Number(found)}, where ‖A‖‖b − A x‖ is about {Text.Number(own * residual)}");
    }

    /// <summary>Refuses a d = x − x0 that is not Aᵀy for the y that comes nearest to it.</summary>
    /// <exception cref="ArgumentException">It is not; where the options say so it is an <see cref="LsmrException"/>, or
    /// accepted.</exception>
    public void RequireLeastNorm(Tensor d, Tensor y)
    {
        using var scope = NewDisposeScope();
        double size = Vectors.Norm(d), rest = Vectors.Norm(d.sub(A.VecMat(y)));
        if (rest > Math.Cbrt(Vectors.Epsilon(d.dtype)) * size) {
            Refuse("Of several solutions, the undamped one must be that nearest to x0 (or zero), but a relative "
                + $"{Text.Number(rest / size)} of x − x0 is outside the operator's row space");
        }
    }

    private void Refuse(string rule)
    {
        string sentence = $"{rule}. What Solve found is one until something that the operator uses is changed.";
        switch (options.Gradient.WhenUnconverged) {
            case Unconverged.Throw:
                throw new ArgumentException(sentence, "solution");
            case Unconverged.NaN:
                throw new LsmrException(sentence);
            default:
                Diagnostics.Warn(sentence);
                break;
        }
    }

    // About the Frobenius norm, which the growing estimate of LSMR's rules comes to: ‖A z‖ for random signs z has it on
    // average.
    private static double Size(LinearOperator A, double damp)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        Tensor z = Vectors.RandomSigns([.. A.InputShape], 1, A.dtype, A.device, generator);
        return double.Hypot(Math.Max(Vectors.Norm(A.MatVec(z)), Augmented.Norm(A)), damp);
    }
}
