using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>A parameter that is listed twice is taken once or refused, by whatever objects it is named; so is memory
/// that two share.</summary>
public class SharedParameterTests
{
    private DisposeScope scope = null!;
    private Parameter q = null!, other = null!;

    [SetUp]
    public void OpenScope()
    {
        scope = NewDisposeScope();
        (q, other) = (new Parameter(Problems.Random(1, 3, 2)), new Parameter(Problems.Random(2, 4)));
    }

    [TearDown]
    public void CloseScope()
    {
        q.Dispose();
        other.Dispose();
        scope.Dispose();
    }

    // Another C# object for the same native tensor.
    private static Parameter Again(Parameter parameter) => new(parameter.alias(), parameter.requires_grad);

    // Another native tensor on the same memory.
    private static Parameter View(Parameter parameter, params long[] shape) => new(parameter.detach().view(shape));

    [Test]
    public void In_the_optimizer_s_list_it_is_moved_once([Values] ProjectionOrder order, [Values] bool isAnotherObject)
    {
        Parameter twin = new(q.detach().clone());
        NullSpaceOptimizer Around(Parameter moving, IEnumerable<Parameter> list) =>
            new(optim.SGD([moving, other], 0.1), list, Constraint.Norm(moving, 1), 1) { Order = order };
        NullSpaceOptimizer twice = Around(q, [q, other, isAnotherObject ? Again(q) : q]),
            once = Around(twin, [twin, other]);
        for (int i = 0; i < 3; i++) {
            double[] before = Problems.Values(other);
            foreach ((NullSpaceOptimizer optimizer, Parameter moving) in new[] { (twice, q), (once, twin) }) {
                using (no_grad())
                    other.copy_(tensor(before));
                optimizer.zero_grad();
                moving.pow(4).sum().add(other.square().sum()).backward();
                optimizer.step();
            }
            Assert.That(Problems.Values(q), Is.EqualTo(Problems.Values(twin)));
        }
        // Newton's steps towards the sphere, after ever smaller ones of descent along it.
        Assert.That(Vectors.Norm(q), Is.EqualTo(1).Within(0.02));
        Assert.That(q.grad!.shape, Is.EqualTo(q.shape));
    }

    [Test]
    public void Tied_modules_are_trained_by_each_parameter_once()
    {
        Linear encoder = nn.Linear(3, 3, hasBias: false), decoder = nn.Linear(3, 3, hasBias: false);
        decoder.weight = encoder.weight;
        Sequential model = nn.Sequential(("encoder", encoder), ("decoder", decoder));
        Parameter[] all = [.. encoder.parameters(), .. decoder.parameters()];
        Tensor before = encoder.weight.detach().clone(), x = Problems.Random(3, 5, 3).to(float32);
        var optimizer = new NullSpaceOptimizer(optim.SGD(model.parameters(), 0.01), all,
            Constraint.Norm(decoder.weight, 2), 1);
        decoder.forward(encoder.forward(x)).square().sum().backward();
        optimizer.step();
        Tensor g = encoder.weight.grad!, row = before / before.norm(), delta = g * -0.01;
        Tensor expected = before + delta - row * ((row * delta).sum() + before.norm() - 2);
        Check.Close(encoder.weight.detach(), expected, 1e-5, "W");
        Assert.That(() => new NullSpaceOptimizer(optim.SGD(all, 0.01), all, Constraint.Norm(decoder.weight, 2)),
            Throws.ArgumentException.With.Message.Contains(
                "The inner optimizer must list each parameter once, but one of shape (3, 3) is there twice"));
    }

    public static IEnumerable<string> Optimizers => ["SGD", "Adam", "RMSProp", "LBFGS", "groups"];

    [Test]
    public void The_inner_optimizer_s_list_must_have_it_once([ValueSource(nameof(Optimizers))] string name,
        [Values] bool isAnotherObject)
    {
        Parameter second = isAnotherObject ? Again(q) : q;
        Assert.That(() => Around(second), Throws.ArgumentException
            .With.Message.Contains("must list each parameter once, but one of shape (3, 2)"));
        Assert.That(() => Around(View(q, 6)), Throws.ArgumentException.With.Message.Contains("share memory"));
        Assert.That(Around(other), Is.Not.Null);

        NullSpaceOptimizer Around(Parameter listed) => new(name switch {
            "SGD" => optim.SGD([q, listed], 0.1),
            "Adam" => optim.Adam([q, listed], 0.1),
            "RMSProp" => optim.RMSProp([q, listed], 0.1),
            "LBFGS" => optim.LBFGS([q, listed], 0.1),
            _ => optim.SGD([new SGD.ParamGroup([q]), new SGD.ParamGroup([listed])], 0.1),
        }, [q], Constraint.Norm(q, 1));
    }

    [Test]
    public void A_group_that_is_added_later_is_looked_at_too()
    {
        optim.Optimizer inner = optim.SGD([q], 0.1);
        var optimizer = new NullSpaceOptimizer(inner, [q], Constraint.Norm(q, 1));
        inner.add_param_group(new SGD.ParamGroup([other]));
        optimizer.step();
        inner.add_param_group(new SGD.ParamGroup([Again(q)]));
        double[] before = Problems.Values(q);
        Assert.That(() => optimizer.step(), Throws.ArgumentException.With.Message.Contains("each parameter once"));
        Assert.That(Problems.Values(q), Is.EqualTo(before));
    }

    [Test]
    public void Memory_that_two_parameters_share_is_refused()
    {
        optim.Optimizer inner = optim.SGD([q], 0.1);
        Constraint norm = Constraint.Norm(q, 1);
        Assert.That(() => new NullSpaceOptimizer(inner, [q, View(q, 6)], norm), Throws.ArgumentException
            .With.Message.Contains("of shapes (3, 2) and (6) share memory"));
        Parameter row = new(q.detach().select(0, 1)), whole = View(q, 2, 3);
        Assert.That(() => new NullSpaceOptimizer(inner, [row, q], norm), Throws.ArgumentException
            .With.Message.Contains("share memory"));
        Assert.That(() => new NullSpaceOptimizer(inner, [row, other, whole], norm), Throws.ArgumentException
            .With.Message.Contains("share memory"));
        Assert.That(() => new NullSpaceOptimizer(optim.SGD([View(q, 6)], 0.1), [q], norm), Throws.ArgumentException
            .With.Message.Contains("share memory"));
    }

    [Test]
    public void Parts_of_one_buffer_that_have_no_entry_in_common_are_parameters()
    {
        Tensor buffer = Problems.Random(5, 10), square = Problems.Random(6, 4, 4);
        Parameter[] slices = [new(buffer.narrow(0, 0, 4)), new(buffer.narrow(0, 4, 6))];
        Parameter[] columns = [new(square.narrow(1, 0, 2)), new(square.narrow(1, 2, 2))];
        foreach (Parameter[] parts in new[] { slices, columns }) {
            var optimizer = new NullSpaceOptimizer(optim.SGD(parts, 0.1), parts, () =>
                parts[0].sum().sub(parts[1].sum()).reshape(1), 1);
            parts[0].sum().backward();
            optimizer.step();
            Assert.That((parts[0].sum() - parts[1].sum()).item<double>(), Is.Zero.Within(1e-12));
        }
        Parameter overlapping = new(square.narrow(1, 1, 2));
        Assert.That(() => new NullSpaceOptimizer(optim.SGD(columns, 0.1), [columns[0], overlapping],
            Constraint.Norm(columns[0], 1)), Throws.ArgumentException.With.Message.Contains("share memory"));
    }

    [Test]
    public void A_constraint_knows_its_parameter_by_another_object()
    {
        Tensor mask = q.detach().abs().lt(q.detach().abs().median()), M = Problems.Random(3, 2, 4);
        Parameter again = Again(q);
        LinearOperator identity = LinearOperator.FromMatVec(x => x, u => u, [3, 2], float64);
        foreach (Constraint constraint in new[] {
            Constraint.Norm(again, 1), Constraint.Sparsity([(again, mask)]), Constraint.Linear([(again, identity)]),
                Constraint.SmoothSparsity([again], 0.5),
            Constraint.Invariance([(again, tensor(new long[] { 1, 0, 2, 3, 5, 4 }))]),
            Constraint.EquivariantWeights(again,
                LinearOperator.FromMatVec(x => x.roll(1, 0), u => u.roll(-1, 0), [3], float64),
                    LinearOperator.Diagonal(ones(2, float64))),
        }) {
            (Tensor c, LinearOperator J) = constraint.Linearize([other, q]);
            double h = 1e-6;
            Tensor v = Problems.Random(9, 10), theta = q.detach().clone();
            using (no_grad())
                q.add_(v.narrow(0, 4, 6).view(3, 2) * h);
            Tensor moved = constraint.Evaluate([other, q]);
            using (no_grad())
                q.copy_(theta);
            Check.Close(J.Apply(v).reshape(-1), (moved - c).reshape(-1) / h, 1e-4,
                $"J v of {constraint.GetType().Name}");
        }
    }

    [Test]
    public void A_constraint_on_a_view_of_a_parameter_is_refused()
    {
        Parameter view = View(q, 6);
        Tensor mask = ones(6, ScalarType.Bool);
        foreach (Constraint constraint in new[] { Constraint.Norm(view, 1), Constraint.Sparsity([(view, mask)]),
            Constraint.SmoothSparsity([view], 0.5),
                Constraint.Linear([(view, LinearOperator.Diagonal(ones(6, float64)))]) })
            Assert.That(() => constraint.Linearize([other, q]), Throws.ArgumentException, constraint.GetType().Name);
    }

    [Test]
    public void A_linear_constraint_adds_the_terms_of_a_parameter()
    {
        Tensor A = Problems.Random(3, 2, 4), B = Problems.Random(4, 2, 4), v = Problems.Random(5, 4);
        (Tensor c, LinearOperator J) = Constraint.Linear([(other, LinearOperator.FromMatrix(A)),
            (Again(other), LinearOperator.FromMatrix(B))]).Linearize([other]);
        Check.Close(c, (A + B).mv(other.detach()), 1e-14, "c");
        Check.Close(J.Apply(v), (A + B).mv(v), 1e-14, "J v");
    }

    [Test]
    public void Masks_and_layers_take_it_once()
    {
        Parameter again = Again(q);
        (Parameter Parameter, Tensor Mask)[] masks = SparsityMask.Smallest([q, other, again, q], 0.5);
        Assert.That(masks.Sum(pair => pair.Mask.count_nonzero().item<long>()), Is.EqualTo(5));
        Assert.That(masks, Has.Length.EqualTo(2));
        (Parameter Parameter, Tensor Mask)[] perLayer = SparsityMask.SmallestPerLayer([q, again, other], 0.5);
        Assert.That((perLayer.Length, perLayer.Sum(pair => pair.Mask.count_nonzero().item<long>())),
            Is.EqualTo((2, 5)));
        Assert.That(() => Constraint.Sparsity([masks[0], (again, masks[0].Mask)]), Throws.ArgumentException
            .With.Message.Contains("logical_or"));
        Assert.That(Constraint.SmoothSparsity([q, again], 0.5).Evaluate([q]).numel(), Is.EqualTo(1));
        Assert.That(() => Constraint.SmoothSparsity([q, again], 0.5, [1, 1]), Throws.ArgumentException
            .With.Message.Contains("each parameter once"));
        Assert.That(() => SparsityMask.Smallest([q, View(q, 6)], 0.5), Throws.ArgumentException
            .With.Message.Contains("share memory"));
    }

    [Test]
    public void A_list_of_those_that_move_has_it_once()
    {
        foreach (Constraint constraint in new[] {
            Constraint.Norm(q, 1), Constraint.Sparsity([(q, ones(3, 2, ScalarType.Bool))]),
                Constraint.FromResidual(() => q.sum().reshape(1)),
            Constraint.FromResidual(() => q.sum().reshape(1), JacobianProducts.Differences),
                Constraint.RootMeanSquare(Constraint.FromResidual(() => q.sum().reshape(1))),
        })
            Assert.That(() => constraint.Linearize([q, Again(q)]), Throws.ArgumentException
                .With.Message.Contains("each parameter once"), constraint.GetType().Name);
    }

    [Test]
    public void A_least_squares_layer_refuses_it()
    {
        Func<IReadOnlyDictionary<string, Parameter>, Tensor, LinearOperator> build = (own, b) =>
            LinearOperator.FromMatrix(own["A"]);
        Assert.That(() => new LeastSquaresLayer([("A", q), ("B", q)], build), Throws.ArgumentException
            .With.Message.Contains("A layer must list each parameter once"));
        Assert.That(() => new LeastSquaresLayer([("A", q), ("B", Again(q))], build), Throws.ArgumentException
            .With.Message.Contains("each parameter once"));
        Assert.That(() => new LeastSquaresLayer([("A", q), ("B", View(q, 6))], build), Throws.ArgumentException
            .With.Message.Contains("share memory"));
    }
}
