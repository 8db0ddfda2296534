using System.CommandLine;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>Are hyper-parameters chosen by predictions, through the solver, as good as those of the marginal likelihood, and how much sooner are they there?</summary>
internal sealed class GpCalibrationExperiment() : TrainingExperiment<GpSizes>(
    "gp-calibration", "Hyper-parameters of a Gaussian process from held-back predictions, through the solver, beside log marginal likelihood.")
{
    /// <inheritdoc/>
    public override Command CreateCommand(RunConsole console)
    {
        var options = new CommonOptions();
        Option<string> kernel = Options.Choice("--kernel", "The kernel.",
            [GpSizes.FirstKernel, .. GpProblem.KernelNames.Where(name => name != GpSizes.FirstKernel)]);
        var command = new Command(Name, Description);
        options.AddTo(command);
        command.Options.Add(kernel);
        command.SetAction(parsed => {
            RunSettings settings = options.Read(parsed, Name);
            return Execute(SizesOf(settings) with { Kernel = parsed.GetValue(kernel)! }, settings, console);
        });
        return command;
    }

    /// <inheritdoc/>
    protected override GpSizes SizesOf(RunSettings settings) => GpSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(GpSizes sizes, RunContext context) => GpReport.Of(sizes, new GpRun(sizes, context).Run(), context.Folder);
}
