using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>Can a score model be made a gradient field?</summary>
internal sealed class ConservativenessExperiment() : TrainingExperiment<ConservativenessSizes>(
    "conservativeness", "Train score models of densities in the plane under S = Sᵀ, and see whether they are gradients.")
{
    /// <inheritdoc/>
    protected override ConservativenessSizes SizesOf(RunSettings settings) => ConservativenessSizes.ForPlane(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(ConservativenessSizes sizes, RunContext context)
    {
        if (context.Settings.Threads is null) {
            torch.set_num_threads(1); // a few thousand weights are nothing to share
        }
        ConservativenessState state = new ConservativenessRun(sizes, context, (density, seed) => new PlaneTask(density, sizes, seed, context.Device)).Run();
        return ConservativenessReport.Of(sizes, state, context.Folder);
    }
}
