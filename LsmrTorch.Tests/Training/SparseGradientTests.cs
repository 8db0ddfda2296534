using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>The sparse gradients of a lookup are those of a dense one, in the loss and in the constraint.</summary>
public class SparseGradientTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    private static readonly Dictionary<string, Func<IEnumerable<Parameter>, optim.Optimizer>> Optimizers = new() {
        ["SGD"] = p => optim.SGD(p, 0.1),
        ["momentum"] = p => optim.SGD(p, 0.1, momentum: 0.9, weight_decay: 0.1),
        ["Adam"] = p => optim.Adam(p, 0.1),
        ["Adagrad"] = p => optim.Adagrad(p, 0.1),
    };

    public static IEnumerable<string> Names => Optimizers.Keys;

    private static Embedding Table(bool isSparse)
    {
        Embedding table = nn.Embedding(6, 3, sparse: isSparse);
        using var guard = no_grad();
        table.weight!.copy_(Problems.Random(1, 6, 3));
        return table;
    }

    [Test]
    public void A_step_is_that_of_dense_gradients(
        [ValueSource(nameof(Names))] string name, [Values] ProjectionOrder order, [Values] JacobianProducts products)
    {
        double[][] found = [.. new[] { true, false }.Select(isSparse => {
            Embedding table = Table(isSparse);
            Tensor words = tensor(new long[] { 1, 1, 4 }), held = tensor(new long[] { 0, 1 });
            var optimizer = new NullSpaceOptimizer(Optimizers[name](table.parameters()), table.parameters(),
                Constraint.FromResidual(() => table.forward(held).tanh().sum(1), products), 0.5) { Order = order };
            for (int i = 0; i < 3; i++) {
                optimizer.zero_grad();
                table.forward(words).pow(4).sum().backward();
                using (Tensor? gradient = table.weight!.grad)
                    Assert.That(gradient!.is_sparse,
                        Is.EqualTo(isSparse && (i == 0 || order != ProjectionOrder.Gradient)));
                Assert.That(optimizer.step().Applied);
            }
            return Problems.Values(table.weight!);
        })];
        Assert.That(found[0], Is.EqualTo(found[1]).Within(products == JacobianProducts.Derivatives ? 1e-6 : 2e-2));
    }

    [Test]
    public void The_gradient_is_as_it_was_after_a_step([Values(ProjectionOrder.Step,
        ProjectionOrder.Metric)] ProjectionOrder order)
    {
        Embedding table = Table(isSparse: true);
        var optimizer = new NullSpaceOptimizer(optim.Adam(table.parameters(), 0.1), table.parameters(), () =>
            table.weight!.sum().reshape(1)) { Order = order };
        void Backward()
        {
            optimizer.zero_grad();
            using var each = NewDisposeScope();
            table.forward(tensor(new long[] { 1, 1, 4 })).pow(4).sum().backward();
        }
        Backward();
        optimizer.step();
        Backward();
        double[] before = Problems.Values(table.weight!.grad!.to_dense());
        Check.LeavesNoTensors(() => optimizer.step());
        Assert.That(table.weight!.grad!.is_sparse);
        Assert.That(Problems.Values(table.weight!.grad!.to_dense()), Is.EqualTo(before));
    }

    [Test]
    public void A_sparse_gradient_that_is_not_finite_is_skipped([Values] ProjectionOrder order)
    {
        Embedding table = Table(isSparse: true);
        double[] before = Problems.Values(table.weight!);
        var optimizer = new NullSpaceOptimizer(optim.SGD(table.parameters(), 0.1), table.parameters(), () =>
            table.weight!.sum().reshape(1)) { Order = order };
        table.forward(tensor(new long[] { 1 })).mul(double.NaN).sum().backward();
        Assert.That(optimizer.step().Applied, Is.False);
        Assert.That(Problems.Values(table.weight!), Is.EqualTo(before));
    }
}
