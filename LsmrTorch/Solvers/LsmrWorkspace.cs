using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// LSMR for one right-hand side after another with the same operator, all vectors made once: for small problems solved very often. Under
/// <c>no_grad()</c>, and with a matrix on the CPU (dense or in compressed rows), solves after the first allocate no managed memory.
/// No gradients flow and nothing is audited; <see cref="Lsmr.Solve"/> does both. For one thread at a time.
/// </summary>
/// <remarks>The operator's tensors must stay where they are and of their shape; their entries may change between solves.</remarks>
public sealed class LsmrWorkspace : IDisposable
{
    private readonly LinearOperator A, prepared;
    private readonly LsmrOptions options;
    private readonly LsmrRules rules;
    private readonly LsmrIteration iteration;
    private readonly IDisposable[] owned;
    private int state = Idle;

    private const int Idle = 0, Solving = 1, Disposed = 2;

    /// <summary>Makes the vectors: four like x and one like b beside the solution.</summary>
    /// <param name="A">An operator whose products are at hand; one that records them (a Jacobian, a closure without its transpose) is refused.</param>
    /// <param name="options">Tolerances, limits, a number as damping, reorthogonalisation, StopWhen and the token are taken; a start, a preconditioner or a warm start are refused.</param>
    /// <exception cref="ArgumentException">An option is out of range, or of those that a workspace does not take; the operator records.</exception>
    public LsmrWorkspace(LinearOperator A, LsmrOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(A);
        options ??= new();
        options.Validate();
        Refuse(options.Start is not null, nameof(options.Start));
        Refuse(options.Preconditioner is not null, nameof(options.Preconditioner));
        Refuse(options.WarmStart is not null, nameof(options.WarmStart));
        Refuse(options.Damp.Tensor is not null, "Damp as a tensor");
        double damp = Require.Damp(options.Damp.Value, "damp", A.dtype);
        A.RequireUnchanged();
        (this.A, this.options) = (A, options);
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        if (A.Records)
            throw new ArgumentException($"A workspace is for operators whose products are at hand, but {A} records them anew for each solve; use Lsmr.Solve.", nameof(A));
        rules = new LsmrRules(options, A, damp);
        prepared = A.Prepare();
        iteration = new LsmrIteration(prepared, null, damp, options.Reorthogonalise);
        owned = [.. scope.DisposablesView];
        scope.Detach(owned);

        static void Refuse(bool isGiven, string option)
        {
            if (isGiven)
                throw new ArgumentException($"A workspace does not take {option}; use Lsmr.Solve.", nameof(options));
        }
    }

    /// <summary>Writes the solution for b into x and says how the solve ended.</summary>
    /// <param name="b">Of A's OutputShape; not written to.</param>
    /// <param name="x">Of A's InputShape; overwritten, with NaN where a product was.</param>
    /// <exception cref="ArgumentException">
    /// b or x has another shape, dtype or device than A, x requires gradients or has not a place in memory for each
    /// entry, or a tensor of the operator has changed in shape or dtype.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// Called inside <c>inference_mode()</c>, or while another call is running, be it on another thread or the one
    /// that calls StopWhen.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The workspace was disposed.</exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public LsmrColumn Solve(Tensor b, Tensor x)
    {
        Enter(Solving);
        try {
            return SolveAlone(b, x);
        } finally {
            Volatile.Write(ref state, Idle);
        }
    }

    // One at a time: the vectors are those of the last solve until it is over.
    private void Enter(int next)
    {
        int before = Interlocked.CompareExchange(ref state, next, Idle);
        ObjectDisposedException.ThrowIf(before == Disposed, this);
        if (before == Solving)
            throw new InvalidOperationException(
                "A workspace must solve one right-hand side at a time, but it is solving another one, on another "
                    + "thread or on the one that called StopWhen; make a workspace for each.");
    }

    private LsmrColumn SolveAlone(Tensor b, Tensor x)
    {
        Require.NoInferenceMode();
        Require.Vector(b, "b", A.OutputShape, "the operator returns", A);
        Require.Vector(x, "x", A.InputShape, "the operator takes", A);
        if (x.requires_grad)
            throw new ArgumentException("x must not require gradients: none flow through a workspace.", nameof(x));
        if (!x.is_contiguous())
            Require.OwnPlaces(x, nameof(x));
        A.RequireUnchanged();
        prepared.RequireUnchanged();
        using IDisposable? guard = is_grad_enabled() ? no_grad() : null;
        iteration.Begin(b);
        LsmrStop? stop;
        for (bool requested = false; (stop = rules.Stop(iteration, 0, requested)) is null;) {
            options.CancellationToken.ThrowIfCancellationRequested();
            iteration.Step();
            requested = options.StopWhen is { } stopWhen && stopWhen(PlainLsmr.Progress(iteration));
        }
        if (stop == LsmrStop.NonFinite)
            Vectors.Fill(x, double.NaN);
        else
            Vectors.Assign(x, iteration.X);
        LsmrRecurrence numbers = iteration.Numbers(0);
        return new LsmrColumn(stop.Value, iteration.Iterations, numbers.ResidualNorm, numbers.NormalResidualNorm, iteration.SolutionNorm[0]);
    }

    /// <summary>Frees the vectors.</summary>
    /// <exception cref="InvalidOperationException">Called while a solve is running.</exception>
    public void Dispose()
    {
        if (Volatile.Read(ref state) == Disposed)
            return;
        Enter(Disposed);
        foreach (IDisposable tensor in owned)
            tensor.Dispose();
    }
}
