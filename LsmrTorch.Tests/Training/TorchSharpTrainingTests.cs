using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Training;

/// <summary>A constraint beside what training scripts use of TorchSharp: schedulers, clipping, BatchNorm, devices.</summary>
public class TorchSharpTrainingTests
{
    private DisposeScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => scope.Dispose();

    // Six parameters with a fixed gradient g, and c = M θ − t.
    private static (Parameter Theta, Tensor Gradient, Tensor M, Func<Tensor> Residual) Task()
    {
        var theta = new Parameter(Problems.Random(1, 6));
        Tensor M = Problems.Random(3, 2, 6), t = Problems.Random(4, 2);
        return (theta, Problems.Random(2, 6), M, () => M.mv(theta).sub(t));
    }

    private static Tensor Free(Tensor M, Tensor v) => v - linalg.pinv(M).mv(M.mv(v));

    [Test]
    public void A_scheduler_of_the_inner_optimizer_sets_the_size_of_what_is_free_and_not_of_what_restores(
        [Values("step", "cosine", "exponential")] string name)
    {
        (Parameter theta, Tensor g, Tensor M, Func<Tensor> residual) = Task();
        optim.Optimizer inner = optim.SGD([theta], 0.1);
        optim.lr_scheduler.LRScheduler scheduler = name switch {
            "step" => optim.lr_scheduler.StepLR(inner, 2, 0.1),
            "cosine" => optim.lr_scheduler.CosineAnnealingLR(inner, 6),
            _ => optim.lr_scheduler.ExponentialLR(inner, 0.5),
        };
        var optimizer = new NullSpaceOptimizer(inner, [theta], residual, rate: 0.3);
        var rates = new List<double>();
        for (int step = 0; step < 5; step++) {
            optimizer.zero_grad();
            theta.mul(g).sum().backward();
            Tensor before = theta.detach().clone(), c = residual().detach();
            double learningRate = inner.ParamGroups.First().LearningRate;
            optimizer.step();
            scheduler.step();
            rates.Add(learningRate);
            Check.Close(Free(M, theta.detach() - before), Free(M, g) * -learningRate, 1e-8, $"step {step}: what is free", floor: 1);
            Check.Close(residual(), c * 0.7, 1e-8, $"step {step}: what is left of c", floor: 1);
        }
        Assert.That(rates.Distinct().Count(), Is.GreaterThan(2), "the scheduler was at work");
    }

    [Test]
    public void Clipped_gradients_are_what_is_projected()
    {
        (Parameter theta, Tensor g, Tensor M, Func<Tensor> residual) = Task();
        var optimizer = new NullSpaceOptimizer(optim.SGD([theta], 0.1), [theta], residual, rate: 1);
        theta.mul(g * 100).sum().backward();
        nn.utils.clip_grad_norm_([theta], 0.5);
        Tensor before = theta.detach().clone();
        optimizer.step();
        // clip_grad_norm_ divides by the norm and 1e-6.
        Check.Close(Free(M, theta.detach() - before), Free(M, g) * (-0.1 * 0.5 / Vectors.Norm(g)), 1e-7, "what is free");
    }

    // A network with BatchNorm whose answers to two inputs are to stay: the c of evaluation mode, the network's mode left as it was.
    private static (Sequential Model, BatchNorm1d Norm, Tensor Inputs, Func<Tensor> Residual) Normalised()
    {
        BatchNorm1d norm = nn.BatchNorm1d(4);
        Sequential model = nn.Sequential(("first", nn.Linear(3, 4)), ("norm", norm), ("act", nn.Tanh()), ("last", nn.Linear(4, 2)));
        using (no_grad()) {
            foreach ((Parameter parameter, int i) in model.parameters().Select((parameter, i) => (parameter, i)))
                parameter.copy_(Problems.Random(10 + i, parameter.shape));
        }
        model.to(float64);
        Tensor inputs = Problems.Random(5, 30, 3), kept = Problems.Random(6, 2, 3);
        model.train();
        model.forward(inputs);      // statistics other than those of the start
        model.eval();
        Tensor answers = model.forward(kept).detach();
        Tensor Residual()
        {
            bool isTraining = model.training;
            model.eval();
            Tensor c = model.forward(kept).sub(answers).reshape(-1);
            model.train(isTraining);
            return c;
        }
        return (model, norm, inputs, Residual);
    }

    [Test]
    public void A_constraint_by_BatchNorm_in_evaluation_mode_leaves_the_statistics_of_training_alone([Values] JacobianProducts products)
    {
        (Sequential model, BatchNorm1d norm, Tensor inputs, Func<Tensor> residual) = Normalised();
        Parameter[] parameters = [.. model.parameters()];
        var optimizer = new NullSpaceOptimizer(optim.SGD(parameters, 0.01), parameters, Constraint.FromResidual(residual, products), rate: 1);
        model.train();
        for (int step = 0; step < 3; step++) {
            optimizer.zero_grad();
            model.forward(inputs).square().mean().backward();
            (double[] mean, double[] variance) = (Problems.Values(norm.running_mean!), Problems.Values(norm.running_var!));
            optimizer.step();
            Assert.That((Problems.Values(norm.running_mean!), Problems.Values(norm.running_var!)), Is.EqualTo((mean, variance)));
            Assert.That(model.training);
        }
    }

    [Test]
    public void With_frozen_statistics_of_BatchNorm_answers_are_kept_while_all_its_parameters_move()
    {
        (double keptApart, double moved) = Drift(isConstrained: true);
        (double apart, _) = Drift(isConstrained: false);
        TestContext.Out.WriteLine($"|c| {keptApart} with the constraint, {apart} without");
        Assert.That(keptApart, Is.LessThan(0.02 * apart));      // what a step leaves is of second order in its size, and the next one's to take
        Assert.That(moved, Is.GreaterThan(1e-3));

        static (double Residual, double Moved) Drift(bool isConstrained)
        {
            (Sequential model, BatchNorm1d norm, Tensor inputs, Func<Tensor> residual) = Normalised();
            Parameter[] parameters = [.. model.parameters()];
            optim.Optimizer adam = optim.Adam(parameters, 3e-3);
            var optimizer = new NullSpaceOptimizer(adam, parameters, residual, rate: 1);
            Tensor scale = norm.weight!.detach().clone();
            for (int step = 0; step < 20; step++) {
                optimizer.zero_grad();
                model.forward(inputs).square().mean().backward();
                if (isConstrained)
                    optimizer.step();
                else
                    adam.step();
            }
            return (Vectors.Norm(residual().detach()), Vectors.Norm(norm.weight!.detach() - scale));
        }
    }

    [Test]
    public void A_step_on_a_gpu_is_that_of_the_cpu_and_goes_on_from_a_saved_state([Values] ProjectionOrder order)
    {
        if (!cuda.is_available())
            Assert.Ignore("No CUDA device (or a CPU build of libtorch), so the GPU path is not run.");
        Check.Close(Trained(CUDA).cpu(), Trained(CPU), 1e-8, "θ after six steps");

        Tensor Trained(Device device)
        {
            Tensor M = Problems.Random(3, 2, 6).to(device), goal = Problems.Random(7, 6).to(device);
            Parameter theta = new(Problems.Random(1, 6).to(device));
            NullSpaceOptimizer Optimizer() => new(optim.Adam([theta], 0.02), [theta], () => M.mv(theta).square(), 0.3) { Order = order };
            NullSpaceOptimizer optimizer = Optimizer();
            for (int step = 0; step < 6; step++) {
                if (step == 3) {
                    using var state = new MemoryStream();
                    optimizer.save_state_dict(new BinaryWriter(state));
                    state.Position = 0;
                    optimizer = Optimizer();
                    optimizer.load_state_dict(new BinaryReader(state));
                }
                optimizer.zero_grad();
                theta.sub(goal).square().sum().backward();
                optimizer.step();
            }
            return theta.detach();
        }
    }
}
