using LsmrTorch.Experiments.Models;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Benchmark;

/// <summary>Our iteration with closures and a Jacobian beside the bare products that it makes.</summary>
internal static class ClosureCases
{
    /// <summary>A convolution, with its transpose given and by autograd.</summary>
    public static IEnumerable<Case> Convolution(Workbench bench)
    {
        const int Width = 7;
        long side = bench.Sizes.ImageSide;
        Tensor kernel = bench.Vector("kernel", float32, 1, 1, Width, Width);
        Tensor image = bench.Vector("image", float32, 1, 1, side, side);
        Tensor Blur(Tensor x) => nn.functional.conv2d(x, kernel, padding: [Width / 2, Width / 2]);
        Tensor Transposed(Tensor u) => nn.functional.conv_transpose2d(u, kernel, padding: [Width / 2, Width / 2]);
        var limits = new Limits(3, 23);
        LinearOperator both = LinearOperator.FromMatVec(Blur, Transposed, image.shape, float32, bench.Device);
        LinearOperator one = LinearOperator.FromMatVec(Blur, image.shape, float32, bench.Device);
        yield return new Case("conv", "", 0, bench.Sizes.Rounds, [
            bench.Ours("ours", both, image, limits),
            bench.Call("libtorch_products", () => {
                Blur(image);
                Transposed(image);
            }),
            bench.Naive(Blur, Transposed, image, limits),
        ]);
        yield return new Case("conv_autograd", "", 0, bench.Sizes.Rounds, [
            bench.Ours("ours", one, image, limits),
            bench.Call("libtorch_products", WithBackward(Blur, image, image)),
        ]);
    }

    /// <summary>Closures so cheap that what is around them shows: a diagonal matrix.</summary>
    public static IEnumerable<Case> Overhead(Workbench bench)
    {
        long n = bench.Sizes.ClosureSize;
        Tensor scale = logspace(0, -3, n, dtype: float64, device: bench.Device);
        Tensor b = bench.Vector("closure b", float64, n);
        Tensor Times(Tensor x) => x.mul(scale);
        var limits = new Limits(20, 220);
        LinearOperator both = LinearOperator.FromMatVec(Times, Times, [n], float64, bench.Device);
        LinearOperator one = LinearOperator.FromMatVec(Times, [n], float64, bench.Device);
        yield return new Case("closure", "", 0, bench.Sizes.Rounds, [
            bench.Ours("ours", both, b, limits),
            bench.Call("products", () => {
                Times(b);
                Times(b);
            }),
        ]);
        yield return new Case("closure_autograd", "", 0, bench.Sizes.Rounds, [
            bench.Ours("ours", one, b, limits),
            bench.Call("products", WithBackward(Times, b, b)),
        ]);
    }

    /// <summary>The Jacobian of a residual network's logits with respect to its images, beside the same operator's own two products.</summary>
    public static IEnumerable<Case> Jacobian(Workbench bench)
    {
        var model = new ResNet(bench.Sizes.NetworkDepth, 10, bench.Seed).to(bench.Device);
        model.eval();
        foreach (TorchSharp.Modules.Parameter parameter in model.parameters()) {
            parameter.requires_grad = false;
        }
        Tensor images = bench.Vector("images", float32, bench.Sizes.NetworkImages, 3, 32, 32);
        LinearOperator J = LinearOperator.Jacobian(model.forward, images);
        Tensor b = bench.Vector("jacobian b", float32, [.. J.OutputShape]), v = bench.Vector("jacobian v", float32, [.. J.InputShape]);
        var limits = new Limits(3, 11);
        yield return new Case("jacobian", "", 0, bench.Sizes.Rounds, [
            bench.Ours("ours", J, b, limits),
            new Iterative("products", limits, count => {    // as a solve makes them, from the record on: a few per cent are to be seen
                using var scope = NewDisposeScope();
                return new TimedSolve(count, Clock.Seconds(bench.Device, () => Products(J.Prepare(), v, b, count)));
            }),
        ]);
    }

    private static void Products(LinearOperator prepared, Tensor v, Tensor u, int count)
    {
        for (int i = 0; i < count; i++) {
            prepared.MatVec(v).Dispose();
            prepared.VecMat(u).Dispose();
        }
    }

    // The closure, and a backward pass through a record of it that is made here, once.
    private static Action WithBackward(Func<Tensor, Tensor> closure, Tensor v, Tensor u)
    {
        Tensor z, y;
        using (enable_grad()) {
            z = zeros_like(v).requires_grad_();
            y = closure(z);
        }
        return () => {
            closure(v);
            autograd.backward([y], [u], retain_graph: true, create_graph: false, inputs: [z]);
            z.grad!.Dispose();
            z.grad = null;
        };
    }
}
