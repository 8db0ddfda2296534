using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>LSMR where TorchSharp users look for it: <c>torch.linalg.lsmr</c>.</summary>
public static class LinalgExtensions
{
    extension(torch.linalg)
    {
        /// <summary>
        /// Minimises ‖A x − b‖² + damp²‖x − x0‖² by LSMR; b has A's OutputShape, the solution its InputShape. The names are SciPy's;
        /// the same as <see cref="Lsmr.Solve"/>, which has the details.
        /// </summary>
        /// <param name="A">The operator.</param>
        /// <param name="b">Of A's OutputShape, or with one more dimension for several right-hand sides.</param>
        /// <param name="damp">λ, a number or a 0-dim tensor.</param>
        /// <param name="x0">The start; default zero.</param>
        /// <param name="atol">Relative error of A that the answer may explain; default by dtype.</param>
        /// <param name="btol">Relative error of b that the answer may explain; default by dtype.</param>
        /// <param name="conlim">Limit of the condition estimate; 0 is none.</param>
        /// <param name="maxiter">Iteration limit; default 20 min(m, n), at least 200.</param>
        /// <param name="stop_when">Called after each iteration; true stops the solve.</param>
        /// <param name="cancellation_token">Cancels the solve.</param>
        /// <exception cref="ArgumentException">As for <see cref="Lsmr.Solve"/>; the message names the parameter of this
        /// method.</exception>
        public static LsmrResult lsmr(LinearOperator A, Tensor b, Damping damp = default, Tensor? x0 = null, double? atol = null,
            double? btol = null, double conlim = 1e8, int? maxiter = null, Func<LsmrProgress, bool>? stop_when = null,
            CancellationToken cancellation_token = default)
        {
            var options = new LsmrOptions {
                Damp = damp,
                Start = x0,
                Atol = atol,
                Btol = btol,
                ConditionLimit = conlim,
                MaxIterations = maxiter,
                StopWhen = stop_when,
                CancellationToken = cancellation_token,
            };
            options.Validate(nameof(atol), nameof(btol), nameof(conlim), nameof(maxiter));
            return Lsmr.Solve(A, b, options);
        }
    }
}
