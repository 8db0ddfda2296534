using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <content>
/// Steps on a device whose every read by the host waits for all that is queued: α and β stay there and scale the vectors, one transfer a
/// step brings them, and while it is on its way the device is busy with the next product.
/// </content>
/// <remarks>
/// Beside the two products a step queues nine operations, four of them on vectors. The recurrences of the solver stay on the host: as operations on
/// numbers they would be twenty more a step, each as long as a short vector's. The product that is begun ahead is a vector of m more, and lost at the end.
/// </remarks>
internal sealed partial class GolubKahan
{
    private const int NumbersOfColumn = 3;      // alpha, beta, and one of the solver's

    private readonly Arrival? arrival;
    private Tensor? alphaThere;     // the last alpha of each column, float64, on the device
    private Tensor? ahead;          // A v for the next step, queued already

    private readonly bool mayReadOnce;

    /// <summary>
    /// Whether numbers stay on the device, and <see cref="StepOnDevice"/> is to be used. Not in a solve whose numbers have squares that
    /// leave the range of float64; before <see cref="Begin"/>, whether that may be.
    /// </summary>
    public bool ReadsOnce { get; private set; }

    /// <summary>The same as <see cref="Step"/>, with more numbers (float64, one a column) in the same transfer.</summary>
    public void StepOnDevice(Tensor? more, Span<double> moreNumbers)
    {
        using var scope = NewDisposeScope();
        int columns = Beta.Length;
        Tensor beta = Next(U, alphaThere!, ahead ?? Augmented.Product(A, V), out Tensor u);
        Tensor alpha = Next(V, beta, Augmented.TransposedProduct(A, u), out Tensor v);
        Tensor numbers = more is null ? cat([beta, alpha]) : cat([beta, alpha, more.reshape(-1)]);
        arrival!.Send(numbers);
        (U, V) = (Replaced(scope, U, u), Replaced(scope, V, v));
        alphaThere = Replaced(scope, alphaThere!, alpha);
        ahead?.Dispose();
        ahead = null;
        ahead = scope.MoveToOuter(Augmented.Product(A, V));

        double[] read = new double[numbers.numel()];
        arrival.Read(read);
        read.AsSpan(0, columns).CopyTo(Beta);
        for (int j = 0; j < columns; j++)
            Entries[j].Add(Alpha[j], Beta[j]);
        read.AsSpan(columns, columns).CopyTo(Alpha);
        read.AsSpan(2 * columns).CopyTo(moreNumbers);
    }

    // y = product - factor y, then of norm 1, or as it is where that is 0; the norms, float64, of shape (columns).
    private Tensor Next(Tensor y, Tensor factor, Tensor product, out Tensor next)
    {
        using Scalar minusOne = -1.0;
        using Scalar least = y.dtype == ScalarType.Float32 ? 1.2e-38 : 2.3e-308;    // normal numbers: 0 / least is 0
        next = product.addcmul(y, Factors(factor), minusOne);
        Tensor norms = Vectors.DeviceNorms(next, Beta.Length);
        next.div_(Factors(norms.clamp_min(least)));
        return norms;

        Tensor Factors(Tensor numbers) => (isBlock ? numbers : numbers.squeeze(0)).to(y.dtype);
    }

    private static Tensor Replaced(DisposeScope scope, Tensor old, Tensor current)
    {
        old.Dispose();
        return scope.MoveToOuter(current);
    }

    private void BeginOnDevice()
    {
        ahead?.Dispose();
        ahead = null;
        using Tensor numbers = Vectors.Row(Alpha, alphaThere!);
        alphaThere!.copy_(numbers);
    }

    private void KeepOnDevice(long[] columns)
    {
        Tensor old = alphaThere!;
        alphaThere = Vectors.Columns(old, columns);
        old.Dispose();
        if (ahead is { } product) {
            ahead = Vectors.Columns(product, columns);
            product.Dispose();
        }
    }
}
