using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A small least-squares problem as dense float64 algebra, which tells what no Krylov iteration can: the correction
/// δ = argmin ‖A δ − r‖² + λ²‖δ + d‖² that another, exact solve from x would make. By normal equations where they keep enough
/// digits (<see cref="SmallGram"/>), else by singular values (<see cref="SmallSingular"/>).
/// </summary>
internal sealed class SmallProblem
{
    private const long Narrowest = 64;      // most columns; or rows, if there are fewer and λ = 0
    private const long MostEntries = 1 << 20;
    private const int Free = 40;            // products that any solve may cost more

    private readonly Tensor entries;
    private readonly SmallGram? gram;
    private readonly SmallSingular? singular;   // where the other does not do
    private readonly double eps, ofA;           // a power of two near A and λ

    private SmallProblem(Tensor A, double damp, double eps)
    {
        (entries, this.eps) = (A, eps);
        Norms = EntryNorms.Of(A);
        double[] values = Vectors.ReadAll(A);
        ofA = Unit(Math.Max(Largest(values), damp));
        gram = SmallGram.Of(Divided(values, ofA), (int)A.shape[0], (int)A.shape[1], damp / ofA);
        if (gram is null || SolveAudit.AreGraded(Norms.Rows, eps))
            singular = new SmallSingular(A, damp, eps);
    }

    /// <summary>The problem with this A and λ; null where A is too large for what the solve has cost, or is not finite.</summary>
    /// <param name="A">Any operator.</param>
    /// <param name="damp">λ.</param>
    /// <param name="iterations">Of the solve.</param>
    public static SmallProblem? Of(LinearOperator A, double damp, int iterations)
    {
        long products = Math.Min(A.Rows, A.Columns);
        bool isMatrix = A is DenseOperator or CsrOperator or SparseOperator;          // one product for all unit vectors
        long most = isMatrix ? Narrowest : Math.Min(Narrowest, Math.Max(Free, 2L * iterations));
        if (products == 0 || products > most || A.Rows > MostEntries / A.Columns || (damp > 0 && A.Columns > Narrowest))
            return null;
        LinearOperator prepared = A.Prepare();
        Tensor unit = eye(products, dtype: A.dtype, device: A.device);
        Tensor found = A.Columns <= A.Rows
            ? prepared.MatVecs(unit.reshape([.. A.InputShape, products])).reshape(A.Rows, products)
            : prepared.VecMats(unit.reshape([.. A.OutputShape, products])).reshape(A.Columns, products).t();
        Tensor dense = found.to(float64).contiguous().clone();
        return double.IsFinite(Vectors.Norm(dense)) ? new SmallProblem(dense, damp, Vectors.Epsilon(A.dtype)) : null;
    }

    /// <summary>The norms of A's rows and columns, flat.</summary>
    public EntryNorms Norms { get; }

    /// <summary>Whether [A; λI] has independent columns, to the precision of the dtype.</summary>
    public bool HasFullColumnRank => gram?.HasFullColumnRank ?? singular!.HasFullColumnRank;

    /// <summary>
    /// ‖δ‖ / ‖x‖ of each column, with what round-off hides; infinite where A is too ill-conditioned to tell.
    /// </summary>
    /// <param name="b">Of the operator's OutputShape (and columns).</param>
    /// <param name="x">Of its InputShape (and columns).</param>
    /// <param name="x0">The start that decides the answer, if there is one.</param>
    public double[] Errors(Tensor b, Tensor x, Tensor? x0)
    {
        if (gram is null)
            return singular!.Correct(b, x, x0).Errors;
        double[] right = Vectors.ReadAll(b), solution = Vectors.ReadAll(x), start = x0 is null ? new double[solution.Length] : Vectors.ReadAll(x0);
        int count = solution.Length / (int)entries.shape[1];
        double ofX = Unit(Math.Max(Largest(solution), Largest(right) / ofA));         // in it, b / A and x are near 1
        double[] floors = SolveAudit.StartFloors(x0, count, x.dtype);
        return [.. Enumerable.Range(0, count).Select(j => {
            double[] Column(double[] all) => [.. Enumerable.Range(0, all.Length / count).Select(i => all[i * count + j])];
            double[] column = Divided(Column(solution), ofX), before = Divided(Column(start), ofX);
            double error = gram.Error(Divided(Divided(Column(right), ofA), ofX), column, [.. column.Zip(before, (now, then) => now - then)]);
            double size = Math.Max(Math.Sqrt(column.Sum(value => value * value)), floors[j] / ofX);
            return error == 0 ? 0 : double.IsNaN(error) ? double.PositiveInfinity : error / size + eps;
        })];
    }

    /// <summary>
    /// Where rows are graded, A δ, of m rows and the columns, in units of the second number; null where A is too ill-conditioned to tell.
    /// </summary>
    public (Tensor Image, double Unit)? Image(Tensor b, Tensor x, Tensor? x0) =>
        singular!.Correct(b, x, x0) is { Image: { } image } correction ? (image, correction.Scale) : null;

    private static double Largest(double[] x) => x.Length == 0 ? 0 : x.Max(Math.Abs);

    private static double Unit(double x) => x > 0 && double.IsFinite(x) ? EntryNorms.Unit(x) : 1;

    private static double[] Divided(double[] x, double unit) => [.. x.Select(value => value / unit)];
}
