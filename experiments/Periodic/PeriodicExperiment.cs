using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Periodic;

/// <summary>Does a constraint that couples far-apart points do what it says?</summary>
internal sealed class PeriodicExperiment()
    : TrainingExperiment<PeriodicSizes>("periodic", "Fit sin on [-π, π] under f(x + 2π) = f(x), and see what it is outside.")
{
    /// <inheritdoc/>
    protected override PeriodicSizes SizesOf(RunSettings settings) => PeriodicSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(PeriodicSizes sizes, RunContext context)
    {
        if (context.Settings.Threads is null) {
            torch.set_num_threads(1); // a thousand weights are nothing to share
        }
        using var run = new PeriodicRun(sizes, context);
        PeriodicState state = run.Run();
        return PeriodicReport.Of(sizes, state, run.Curves(), context.Folder);
    }
}
