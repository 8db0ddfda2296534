using System.CommandLine;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Solve;

/// <summary>The command `solve`: its options, and what they are checked for.</summary>
internal sealed class SolveExperiment() : Experiment("solve", "Least squares on a MatrixMarket file by LSMR.")
{
    /// <inheritdoc/>
    public override Command CreateCommand(RunConsole console)
    {
        Option<string?> matrix = Options.Text("--matrix", "A, a MatrixMarket file, plain or gzipped.", "FILE");
        matrix.Required = true;
        Option<string?> rhs = Options.Text("--rhs", "b, a MatrixMarket file (A times a vector of ones).", "FILE");
        Option<double?> damp = Options.Number("--damp", "λ in ‖A x − b‖² + λ²‖x‖² (0).", 0);
        Option<double?> atol = Options.Number("--atol", "Relative error of A that the answer may explain (1e-10).", 0);
        Option<double?> btol = Options.Number("--btol", "Relative error of b that the answer may explain (1e-10).", 0);
        Option<double?> limit = Options.Number(
            "--condition-limit", "Stop where the condition estimate passes this (1e8).", 1, isOver: true);
        Option<long?> iterations = Options.WholeNumber(
            "--max-iterations", "Iterations at most (20 times the shorter side).", 0, int.MaxValue);
        Option<string?> solution = Options.Text("--out-x", "Where to write x, as a MatrixMarket array.", "FILE");
        Option<string?> folder = Options.Text("--out", "The folder of the results (results/solve).", "DIR");
        var overwrite = new Option<bool>("--overwrite") { Description = "Replace what another experiment left in --out." };
        var command = new Command(Name, Description) { matrix, rhs, damp, atol, btol, limit, iterations, solution, folder, overwrite };
        command.SetAction(parsed => Solve.Run(new SolveSettings {
            Matrix = parsed.GetRequiredValue(matrix)!,
            RightHandSide = parsed.GetValue(rhs),
            Damp = parsed.GetValue(damp) ?? 0,
            Atol = parsed.GetValue(atol),
            Btol = parsed.GetValue(btol),
            ConditionLimit = parsed.GetValue(limit),
            MaxIterations = (int?)parsed.GetValue(iterations),
            SolutionFile = parsed.GetValue(solution),
            Out = parsed.GetValue(folder) ?? Path.Combine("results", Name),
            Overwrite = parsed.GetValue(overwrite),
        }, console));
        return command;
    }
}
