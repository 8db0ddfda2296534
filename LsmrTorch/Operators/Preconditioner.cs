using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Right preconditioners P, from A's InputShape to itself: LSMR on A P gives y, and x = P y is the solution, in fewer
/// iterations the better the condition of A P. With damping, that of [A; λI] P.
/// </summary>
/// <remarks>
/// P is a constant: no gradients flow from it to A. Its tensors belong to the dispose scope in which P was made, so make
/// it in the scope in which it is used. A may change after that, as in training: P then fits less, but no answer is wrong.
/// </remarks>
public static class Preconditioner
{
    // Of S. With very few, an unlucky draw could cancel a column.
    private const double FewestRows = 100;

    /// <summary>
    /// P = diag(1 / √(‖a_j‖² + damp²)), a_j the columns of A: those of [A; damp I] P have norm 1. One of norm zero is left as it is.
    /// Exact, and without products, for matrices (dense, in compressed rows, diagonal) and for multiples and stacks of such.
    /// For any other operator ‖a_j‖² is estimated by the mean of (Aᵀz)_j² over random signs z: right on average, with a relative
    /// standard deviation of at most √(2 / probes).
    /// </summary>
    /// <param name="A">Any operator.</param>
    /// <param name="damp">λ in ‖A x − b‖² + λ²‖x‖².</param>
    /// <param name="probes">How many products with Aᵀ an estimate takes.</param>
    /// <param name="seed">Seed of the random signs.</param>
    /// <exception cref="ArgumentException">A column is not finite; damp is negative, or probes is not positive.</exception>
    public static LinearOperator ColumnScaling(LinearOperator A, double damp = 0, int probes = 32, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(A);
        Require.Damp(damp, nameof(damp), A.dtype);
        A.RequireUnchanged();
        if (probes <= 0)
            throw new ArgumentException($"probes must be positive, but is {probes}.", nameof(probes));
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Tensor columns = A.ColumnNorms() ?? EstimateColumnNorms(A, probes, seed);
        using Scalar one = 1.0, damping = damp;
        Tensor norms = columns.hypot(full_like(columns, damping));
        Require.Finite(norms, "The norms of A's columns");
        Tensor inverses = norms.masked_fill(norms.logical_not(), one).reciprocal();
        return LinearOperator.Diagonal(scope.MoveToOuter(inverses.to(A.dtype)));
    }

    /// <summary>
    /// P = R⁻¹, R from the QR factorisation of [S A; damp I] for a random S with about oversampling · n rows, for an m × n
    /// matrix with m ≫ n, dense or in compressed rows. The condition of [A; damp I] P is then near (√γ + 1) / (√γ − 1), γ the
    /// oversampling, whatever A's is: LSMR gains a digit in about 2 / log10(γ) iterations. Takes 4mn additions, then the
    /// time (γ to 2γ times n³ multiplications) and the memory (γn² numbers) of factorising S A, which P holds beside R: it also
    /// gives LSMR a start, the solution of the sketched problem, that has a digit or more.
    /// Where A has no more rows than S would have, R is A's own.
    /// </summary>
    /// <remarks>
    /// Avron, Maymounkov and Toledo 2010 ("Blendenpik"); Meng, Saunders and Mahoney 2014 ("LSRN"); S is of sparse signs
    /// (Clarkson and Woodruff 2013; Martinsson and Tropp 2020, section 9.2).
    /// </remarks>
    /// <param name="A">A matrix; with fewer rows than columns only with damping.</param>
    /// <param name="damp">λ in ‖A x − b‖² + λ²‖x‖².</param>
    /// <param name="oversampling">γ, over 1: more makes the factorisation dearer and the iterations fewer.</param>
    /// <param name="seed">Seed of S.</param>
    /// <exception cref="ArgumentException">A is no matrix, is not finite, or has dependent columns and is not damped; damp is negative, or oversampling not over 1.</exception>
    public static LinearOperator Sketch(LinearOperator A, double damp = 0, double oversampling = 3.5, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(A);
        Require.Damp(damp, nameof(damp), A.dtype);
        A.RequireUnchanged();
        if (!(oversampling > 1 && double.IsFinite(oversampling)))
            throw new ArgumentException($"oversampling must be finite and over 1, but is {Text.Exact(oversampling)}.", nameof(oversampling));
        if (damp == 0 && A.Rows < A.Columns)
            throw new ArgumentException($"A has {A.Rows} rows and {A.Columns} columns, so its columns are dependent: use damping, or no sketch.", nameof(A));
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        double height = Math.Max(FewestRows, Math.Ceiling(oversampling * A.Columns));
        SparseSigns S = height < A.Rows
            ? SparseSigns.Random((long)height, A.Rows, A.dtype, A.device, seed)
            : SparseSigns.Identity(A.Rows, A.dtype, A.device);
        Tensor sketch = A.Sketched(S)
            ?? throw new ArgumentException($"A sketch is made from the entries of a matrix, dense or in compressed rows, but A is {A}.", nameof(A));
        Tensor R = scope.MoveToOuter(Triangle.Of(sketch, damp));
        return new SketchedInverse(R, S.MoveToOuter(scope), scope.MoveToOuter(sketch));
    }

    // E[(Aᵀz)_j²] = Σ_i a_ij², for z of independent signs.
    private static Tensor EstimateColumnNorms(LinearOperator A, int probes, long seed)
    {
        using var generator = new Generator((ulong)seed, CPU);
        LinearOperator products = A.Prepare();
        Tensor mean = zeros([.. A.InputShape], float64, A.device);
        double unit = 0;                            // near the first Aᵀz that is not zero, so that squares stay in range
        for (int i = 0; i < probes; i++) {
            using var scope = NewDisposeScope();
            Tensor z = Vectors.RandomSigns([.. A.OutputShape], 1, A.dtype, A.device, generator);
            Tensor row = products.VecMat(z).to(float64).clone();
            double norm = Vectors.Norm(row);
            if (norm == 0)
                continue;
            if (unit == 0)
                unit = double.IsFinite(norm) ? EntryNorms.Unit(norm) : 1;
            Vectors.Divide(row, unit);
            Vectors.AddScaled(mean, 1.0 / probes, row.mul(row));
        }
        Vectors.Scale(mean.sqrt_(), unit);
        return mean;
    }
}
