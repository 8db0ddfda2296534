using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>A state that was loaded inside a dispose scope, around every optimizer of TorchSharp; and states that are
/// refused.</summary>
public class NullSpaceStateTests
{
    private DisposeScope scope = null!;
    private Tensor M = null!;

    [SetUp]
    public void OpenScope()
    {
        scope = NewDisposeScope();
        M = Problems.Random(7, 4, 12);
    }

    [TearDown]
    public void CloseScope()
    {
        M.Dispose();
        scope.Dispose();
    }

    private static readonly Dictionary<string, Func<Parameter[], optim.Optimizer>> Optimizers = new() {
        ["SGD"] = p => optim.SGD(p, 0.01),
        ["momentum"] = p => optim.SGD(p, 0.01, momentum: 0.9, dampening: 0.1, weight_decay: 0.01),
        ["Nesterov"] = p => optim.SGD(p, 0.01, momentum: 0.9, nesterov: true),
        ["Adam"] = p => optim.Adam(p, 0.02, beta1: 0.8, beta2: 0.95, weight_decay: 0.01),
        ["Adam, AMSGrad"] = p => optim.Adam(p, 0.02, amsgrad: true),
        ["AdamW"] = p => optim.AdamW(p, 0.02, weight_decay: 0.1),
        ["AdamW, AMSGrad"] = p => optim.AdamW(p, 0.02, amsgrad: true),
        ["Adamax"] = p => optim.Adamax(p, 0.02, weight_decay: 0.01),
        ["NAdam"] = p => optim.NAdam(p, 0.02, momentum_decay: 0.01),
        ["RAdam"] = p => optim.RAdam(p, 0.02, weight_decay: 0.01),
        ["Adagrad"] = p => optim.Adagrad(p, 0.02, lr_decay: 0.1, initial_accumulator_value: 0.1),
        ["Adadelta"] = p => optim.Adadelta(p, 0.5, rho: 0.8, weight_decay: 0.01),
        ["RMSProp"] = p => optim.RMSProp(p, 0.01),
        ["RMSProp, momentum"] = p => optim.RMSProp(p, 0.01, momentum: 0.9, weight_decay: 0.01),
        ["RMSProp, centred"] = p => optim.RMSProp(p, 0.01, momentum: 0.5, centered: true),
        ["Rprop"] = p => optim.Rprop(p, 0.01, etaminus: 0.4, etaplus: 1.3),
        ["ASGD"] = p => optim.ASGD(p, 0.01, lambd: 0.1, t0: 2),
    };

    public static IEnumerable<string> Names => Optimizers.Keys;

    private sealed class Run
    {
        private readonly Tensor goal = Problems.Random(3, 12);

        public Run(Func<Parameter[], optim.Optimizer> inner, Tensor M, ScalarType? dtype = null, params long[] shape)
        {
            ScalarType type = dtype ?? ScalarType.Float64;
            Parameters = [new(Problems.Random(1, shape.Length > 0 ? shape : [3, 2]).to(type)),
                new(Problems.Random(2, 6).to(type))];
            Optimizer = new NullSpaceOptimizer(inner(Parameters), Parameters, () =>
                M.to(type).mv(Vectors.Flatten(Parameters)), 0.2) {
                Order = ProjectionOrder.Metric,
                ConditionLimit = 50,
                Smoothing = 0.5,
            };
        }

        public Parameter[] Parameters { get; }

        public NullSpaceOptimizer Optimizer { get; }

        public double[] Theta => Problems.Values(Vectors.Flatten(Parameters));

        // Inside a scope of its own, as a training loop has it.
        public void Steps(int count)
        {
            for (int i = 0; i < count; i++) {
                using var each = NewDisposeScope();
                Optimizer.zero_grad();
                Vectors.Flatten(Parameters).sub(goal.to(Parameters[0].dtype)).pow(4).sum().backward();
                Optimizer.step();
            }
        }

        public void Continue(Run other, byte[] state)
        {
            using (no_grad()) {
                foreach ((Parameter parameter, Parameter value) in Parameters.Zip(other.Parameters))
                    parameter.copy_(value);
            }
            using (NewDisposeScope())
                Load(state);
        }

        public byte[] Save()
        {
            using var stream = new MemoryStream();
            Optimizer.save_state_dict(new BinaryWriter(stream));
            return stream.ToArray();
        }

        public void Load(byte[] state) => Optimizer.load_state_dict(new BinaryReader(new MemoryStream(state)));
    }

    [Test]
    public void A_run_goes_on_to_the_bit_from_a_state_that_was_loaded_inside_a_dispose_scope(
        [ValueSource(nameof(Names))] string name, [Values(0, 1, 4)] int saved, [Values(0, 3)] int stepsBefore)
    {
        Run whole = new(Optimizers[name], M), rest = new(Optimizers[name], M);
        whole.Steps(saved);
        rest.Steps(stepsBefore);                // buffers of another run are there already
        byte[] state = whole.Save();
        rest.Continue(whole, state);
        Assert.That(rest.Optimizer.Steps, Is.EqualTo(saved));
        Assert.That(rest.Save(), Is.EqualTo(state), "what was loaded is what was saved");
        whole.Steps(4);
        rest.Steps(4);
        Assert.That(rest.Theta, Is.EqualTo(whole.Theta));
        Assert.That(rest.Save(), Is.EqualTo(whole.Save()));
    }

    [Test]
    public void Loading_again_leaves_no_tensors([ValueSource(nameof(Names))] string name)
    {
        Run run = new(Optimizers[name], M);
        run.Steps(2);
        byte[] state = run.Save();
        run.Load(state);
        Check.LeavesNoTensors(() => run.Load(state));
    }

    [Test]
    public void A_state_of_the_format_without_shapes_is_read()
    {
        Run whole = new(Optimizers["RMSProp, centred"], M), rest = new(Optimizers["RMSProp, centred"], M);
        whole.Optimizer.Order = rest.Optimizer.Order = ProjectionOrder.Step;
        (whole.Optimizer.Smoothing, rest.Optimizer.Smoothing) = (0, 0);
        (whole.Optimizer.ConditionLimit, rest.Optimizer.ConditionLimit) = (null, null);
        whole.Steps(3);
        using var stream = new MemoryStream();
        var writer = new BinaryWriter(stream);
        writer.Write("LsmrTorch.NullSpaceOptimizer 2");
        writer.Write(3L);
        writer.Write(0.0);
        writer.Write(2);
        foreach (int _ in new[] { 0, 1 }) {
            writer.Write(0L);
            writer.Write(false);
        }
        ((OptimizerHelper)whole.Optimizer.Inner).save_state_dict(writer);
        rest.Continue(whole, stream.ToArray());
        whole.Steps(3);
        rest.Steps(3);
        Assert.That(rest.Theta, Is.EqualTo(whole.Theta));
    }

    [TestCase("momentum", "Adam", "is of Adam, but the inner optimizer is SGD")]
    [TestCase("Adam", "momentum", "is of SGD, but the inner optimizer is Adam")]
    [TestCase("Adam", "AdamW", "is of AdamW, but the inner optimizer is Adam")]
    public void A_state_of_another_optimizer_is_refused(string name, string other, string message) =>
        IsRefused(name, new Run(Optimizers[other], M), message);

    [Test]
    public void A_state_of_other_parameters_is_refused([Values("momentum", "Adam", "RMSProp, centred",
        "Rprop")] string name)
    {
        IsRefused(name, new Run(Optimizers[name], M, null, 2, 3),
            "is of a Float64 parameter of shape (2, 3), but that of the optimizer is Float64 of (3, 2)");
        IsRefused(name, new Run(Optimizers[name], M, null, 6),
            "is of a Float64 parameter of shape (6), but that of the optimizer is Float64 of (3, 2)");
        IsRefused(name, new Run(Optimizers[name], M, ScalarType.Float32), "is of a Float32 parameter of shape (3, 2)");
    }

    [Test]
    public void A_state_of_other_groups_is_refused()
    {
        IsRefused("momentum", new Run(p => optim.SGD([new SGD.ParamGroup([p[0]]), new SGD.ParamGroup([p[1]])], 0.01),
            M), "is of 2 parameter groups, but the inner optimizer has 1");
        IsRefused("momentum", new Run(p => optim.SGD([p[1]], 0.01), M),
            "is of 1 parameters, but group 1 of the inner optimizer has 2");
        IsRefused("momentum", new Run(p => optim.SGD([p[1], p[0]], 0.01), M),
            "is of a Float64 parameter of shape (6), but that of group 1 of the inner optimizer is Float64 of (3, 2)");
    }

    // In one sentence, and the run goes on as if nothing had been read.
    private void IsRefused(string name, Run other, string message)
    {
        Run run = new(Optimizers[name], M), twin = new(Optimizers[name], M);
        run.Steps(3);
        twin.Steps(3);
        other.Steps(1);
        byte[] state = other.Save();
        Assert.That(() => run.Load(state), Throws.InstanceOf<InvalidDataException>().With.Message.Contains(message));
        run.Steps(2);
        twin.Steps(2);
        Assert.That(run.Theta, Is.EqualTo(twin.Theta));
    }

    [Test]
    public void A_state_that_is_cut_off_or_damaged_ends_in_that_exception([Values("momentum", "Adam",
        "RMSProp, centred", "ASGD")] string name)
    {
        Run run = new(Optimizers[name], M), other = new(Optimizers[name], M);
        other.Steps(2);
        byte[] state = other.Save();
        for (int length = 0; length < state.Length; length += 13)
            Assert.That(() => run.Load(state[..length]), Throws.InstanceOf<InvalidDataException>(),
                $"of {length} bytes");
        var random = new Random(5);
        for (int i = 0; i < 300; i++) {
            byte[] damaged = [.. state];
            damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            try {
                run.Load(damaged);
            } catch (InvalidDataException refused) {
                Assert.That(refused.Message, Does.StartWith("Th"));
            }
        }
        run.Load(state);
        Assert.That(run.Save(), Is.EqualTo(state), "a whole state mends what a damaged one left");
    }

    [Test]
    public void An_optimizer_without_a_state_dictionary_says_so()
    {
        Run run = new(p => optim.LBFGS(p, 0.1), M);
        Assert.That(() => run.Save(), Throws.InstanceOf<NotSupportedException>()
            .With.Message.Contains("LBFGS cannot be saved"));
        Assert.That(() => run.Load([]), Throws.InstanceOf<NotSupportedException>());
    }
}
