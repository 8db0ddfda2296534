using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Inertia;

/// <summary>Can a network of points in space be made to turn with them by a constraint?</summary>
internal sealed class InertiaExperiment()
    : TrainingExperiment<InertiaSizes>("inertia", "Train networks from five point masses to their matrix of inertia, which turns with them under O(3).")
{
    /// <inheritdoc/>
    protected override InertiaSizes SizesOf(RunSettings settings) => settings.Device == "cpu"
        ? InertiaSizes.Of(settings.Preset)
        : throw new ExperimentException("inertia runs on the CPU alone: its networks are too small for another device.");

    /// <inheritdoc/>
    protected override Summary Train(InertiaSizes sizes, RunContext context) =>
        InertiaReport.Of(sizes, new InertiaRun(sizes, context).Run(), context.Folder);
}
