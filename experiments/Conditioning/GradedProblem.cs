using LsmrTorch.Experiments.LeastSquares;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Conditioning;

/// <summary>
/// A = U Σ Vᵀ of any condition whose truth is known to rounding: U and V are Hadamard matrices with random signs and
/// columns, exact in every float type (their entries are ± powers of 2, and their sizes powers of 4). A dense A of condition 1e12
/// would have to be rounded, and its small singular values would be those of the rounding.
/// </summary>
internal sealed class GradedProblem : IDisposable
{
    private readonly Tensor _u, _sigma, _v, _zero;
    private readonly Generator _noise;
    private readonly double _noiseLevel;

    public GradedProblem(ConditioningSizes sizes, double cond, double noise, ScalarType dtype, long seed, int number, Device device)
    {
        (int m, int n) = (4 * sizes.Columns, sizes.Columns);
        using Generator random = Seeds.Torch(seed, "problem", number);
        Tensor sigma = tensor(LeastSquares.Factors.Geometric(n, cond)).to_type(dtype);
        Tensor u = Orthogonal(m, random), v = Orthogonal(n, random);
        Tensor x = randn(n, float64, generator: random), misfit = randn(m, float64, generator: random);
        Tensor image = u[TensorIndex.Colon, TensorIndex.Slice(0, n)].mv(sigma.to_type(float64).mul(v.t().mv(x)));
        misfit = misfit.mul(sizes.Misfit * DenseTruth.Norm(image) / Math.Sqrt(m));
        Tensor b = image.add(misfit).to_type(dtype), g = randn(n, float64, generator: random).to_type(dtype);

        Factors = new Factors(u, sigma.to_type(float64).data<double>().ToArray(), v);
        (RightHandSide, Cotangent) = (b.to(device), g.to(device));
        _u = u[TensorIndex.Colon, TensorIndex.Slice(0, n)].to(dtype, device).contiguous();
        _v = v.to(dtype, device);
        _sigma = sigma.to(device);
        _zero = zeros(m, n, dtype, device).requires_grad_();
        (_noise, _noiseLevel) = (Seeds.Torch(seed, "noise", number), noise);
    }

    public Factors Factors { get; }

    public Tensor RightHandSide { get; }

    /// <summary>g of the loss ⟨g, x⟩.</summary>
    public Tensor Cotangent { get; }

    /// <summary>A matrix of zeros that is added to A, so that its gradient is that to A.</summary>
    public Tensor Addend => _zero;

    /// <summary>A by two closures; each product has fresh Gaussian noise of the chosen relative size.</summary>
    public LinearOperator Operator()
    {
        (Tensor ut, Tensor vt, Tensor zeroT) = (_u.t().contiguous(), _v.t().contiguous(), _zero.t());
        return LinearOperator.FromMatVec(
            x => Perturbed(_u.mv(_sigma.mul(vt.mv(x))).add(_zero.mv(x))),
            y => Perturbed(_v.mv(_sigma.mul(ut.mv(y))).add(zeroT.mv(y))),
            [_v.shape[0]], _sigma.dtype, _sigma.device);
    }

    /// <summary>A's entries, rounded: what a sketch is made of.</summary>
    public Tensor Matrix() =>
        Factors.U[TensorIndex.Colon, TensorIndex.Slice(0, Factors.Columns)].mul(tensor(Factors.Sigma)).mm(Factors.V.t()).to(_sigma.dtype, _sigma.device);

    /// <inheritdoc/>
    public void Dispose() => _noise.Dispose();

    private Tensor Perturbed(Tensor product)
    {
        if (_noiseLevel == 0) {
            return product;
        }
        using var fixedNoise = no_grad();
        Tensor exact = product.detach();
        double size = _noiseLevel * DenseTruth.Norm(exact.to_type(float64)) / Math.Sqrt(exact.numel());
        Tensor noise = randn(exact.shape, float64, generator: _noise).mul(size).to(exact.dtype, exact.device);
        using IDisposable recorded = enable_grad(product.requires_grad);
        return product.add(noise);
    }

    // Sylvester's construction, scaled to be orthogonal, then rows of random signs and columns of random order.
    private static Tensor Orthogonal(int size, Generator random)
    {
        Tensor pair = tensor(new double[] { 1, 1, 1, -1 }).view(2, 2), matrix = ones(1, 1, float64);
        while (matrix.shape[0] < size) {
            matrix = kron(matrix, pair);
        }
        Tensor signs = randn(size, float64, generator: random).sign(), order = randn(size, float64, generator: random).argsort();
        return matrix.div(Math.Sqrt(size)).mul(signs.unsqueeze(1)).index_select(1, order).contiguous();
    }
}
