using System.CommandLine;
using System.Globalization;
using LsmrTorch.Experiments.Running;

namespace LsmrTorch.Experiments.Solve;

/// <summary>The command `solve`: its options, and what they are checked for.</summary>
internal sealed class SolveExperiment() : Experiment("solve", "Least squares on a MatrixMarket file by LSMR.")
{
    /// <inheritdoc/>
    public override Command CreateCommand(RunConsole console)
    {
        var matrix = new Option<string>("--matrix") { Description = "A, a MatrixMarket file, plain or gzipped.", HelpName = "FILE", Required = true };
        var rhs = new Option<string?>("--rhs") { Description = "b, a MatrixMarket file (A times a vector of ones).", HelpName = "FILE" };
        Option<double?> damp = Number("--damp", "λ in ‖A x − b‖² + λ²‖x‖² (0).", 0);
        Option<double?> atol = Number("--atol", "Relative error of A that the answer may explain (1e-10).", 0);
        Option<double?> btol = Number("--btol", "Relative error of b that the answer may explain (1e-10).", 0);
        Option<double?> limit = Number("--condition-limit", "Stop where the condition estimate passes this (1e8).", Math.BitIncrement(1));
        var iterations = new Option<int?>("--max-iterations") { Description = "Iterations at most (20 times the shorter side).", HelpName = "N" };
        iterations.Validators.Add(result => {
            if (result.Tokens.Count == 1 && result.GetValueOrDefault<int?>() is < 0) {
                result.AddError("--max-iterations must not be negative.");
            }
        });
        var solution = new Option<string?>("--out-x") { Description = "Where to write x, as a MatrixMarket array.", HelpName = "FILE" };
        var folder = new Option<string?>("--out") { Description = "The folder of the results (results/solve).", HelpName = "DIR" };
        var command = new Command(Name, Description) { matrix, rhs, damp, atol, btol, limit, iterations, solution, folder };
        command.SetAction(parsed => Solve.Run(new SolveSettings {
            Matrix = parsed.GetRequiredValue(matrix),
            RightHandSide = parsed.GetValue(rhs),
            Damp = parsed.GetValue(damp) ?? 0,
            Atol = parsed.GetValue(atol),
            Btol = parsed.GetValue(btol),
            ConditionLimit = parsed.GetValue(limit),
            MaxIterations = parsed.GetValue(iterations),
            SolutionFile = parsed.GetValue(solution),
            Out = parsed.GetValue(folder) ?? Path.Combine("results", Name),
        }, console));
        return command;
    }

    private static Option<double?> Number(string name, string description, double least) => new(name) {
        Description = description,
        HelpName = "NUMBER",
        CustomParser = result => {
            string text = result.Tokens[0].Value; // no thousands: "0,7" is a mistake, and not 7
            if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)) {
                result.AddError($"{name} must be a number such as 0.01, but is '{text}'.");
            } else if (!(value >= least)) {
                result.AddError($"{name} must be {(least == 0 ? "at least 0" : "over 1")}, but is {text}.");
            }
            return value;
        },
    };
}
