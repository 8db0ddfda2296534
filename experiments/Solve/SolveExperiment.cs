using System.CommandLine;
using LsmrTorch.Experiments.Running;
namespace LsmrTorch.Experiments.Solve;
internal sealed class SolveExperiment() : Experiment("solve", "Least squares on a MatrixMarket file.")
{
    public override Command CreateCommand(RunConsole console) => new(Name, Description);
}
