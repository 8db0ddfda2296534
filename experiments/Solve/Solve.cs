using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Running;
using ScottPlot;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Solve;

/// <summary>Reads A and b, solves, tells how it went, and writes x.</summary>
internal static class Solve
{
    /// <summary>Returns <see cref="ExitCode.Success"/>, or <see cref="ExitCode.NotConverged"/> with x as far as it came.</summary>
    public static int Run(SolveSettings settings, RunConsole console)
    {
        using var scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        SparseMatrix matrix = MatrixMarket.ReadMatrix(settings.Matrix);
        LinearOperator a = LinearOperator.FromCsr(
            tensor(matrix.Values), tensor(matrix.ColumnIndices), tensor(matrix.RowStarts), matrix.Columns);
        Tensor b = RightHandSide(settings, a);

        using var folder = new RunFolder(Options.FullPath(settings.Out), new JsonObject {
            ["experiment"] = "solve",
            ["settings"] = JsonSerializer.SerializeToNode(settings),
        }) { ReplacesItsOwn = true };
        folder.Start(CPU, settings.Overwrite);
        var iterations = new List<LsmrProgress>();
        LsmrResult result = Lsmr.Solve(a, b, SolverOptions(settings, iterations, console.Stop));
        foreach (LsmrProgress progress in iterations) {
            folder.WriteMetric(Metric(progress));
        }
        if (settings.SolutionFile is string file) {
            MatrixMarket.WriteVector(file, result.Solution.data<double>().ToArray());
        }
        string plot = Plot(folder, iterations);
        folder.WriteSummary(SummaryOf(settings, matrix, result, plot), CPU);

        console.WriteTable(Table(matrix, result));
        console.Out.WriteLine(settings.SolutionFile is string written ? $"x: {Quoted.Path(written)}." : "x is not written; --out-x FILE writes it.");
        console.Out.WriteLine($"Plot: {Quoted.Path(Path.Combine(settings.Out, plot))}.");
        console.Out.WriteLine($"Figures: {Quoted.Path(Path.Combine(settings.Out, "summary.json"))}.");
        if (result.Converged) {
            return ExitCode.Success;
        }
        console.Error.WriteLine($"Not converged: {result}; {Advice(result.Stop)}");
        return ExitCode.NotConverged;
    }

    private static Tensor RightHandSide(SolveSettings settings, LinearOperator a)
    {
        if (settings.RightHandSide is not string file) {
            return a.Apply(ones(a.Columns, float64));
        }
        double[] values = MatrixMarket.ReadVector(file);
        return values.Length == a.Rows
            ? tensor(values)
            : throw new ExperimentException($"{Quoted.Path(file)} has {values.Length} numbers, but {Quoted.Path(settings.Matrix)} has {a.Rows} rows.");
    }

    private static LsmrOptions SolverOptions(
        SolveSettings settings, List<LsmrProgress> iterations, CancellationToken stop)
    {
        var options = new LsmrOptions {
            Damp = settings.Damp,
            Atol = settings.Atol,
            Btol = settings.Btol,
            MaxIterations = settings.MaxIterations,
            CancellationToken = stop,
            StopWhen = progress => {
                iterations.Add(progress);
                return false;
            },
        };
        return settings.ConditionLimit is double condition ? options with { ConditionLimit = condition } : options;
    }

    private static JsonObject Metric(LsmrProgress progress) => new() {
        ["iteration"] = progress.Iteration,
        ["residual_norm"] = Finite(progress.ResidualNorm),
        ["normal_residual_norm"] = Finite(progress.NormalResidualNorm),
        ["norm_estimate"] = Finite(progress.FrobeniusEstimate),
        ["condition_estimate"] = Finite(progress.ConditionEstimate),
        ["solution_norm"] = Finite(progress.SolutionNorm),
        ["seconds"] = progress.Elapsed.TotalSeconds,
    };

    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;

    private static SummaryTable Table(SparseMatrix matrix, LsmrResult result) => new(["what", "value"], [
        ["A", $"{matrix.Rows} x {matrix.Columns}, {matrix.Values.Length} entries"],
        ["stop", $"{result.Stop}"],
        ["iterations", $"{result.Iterations}"],
        ["|r|", $"{result.ResidualNorm:G9}"],
        ["|A'r - damp² x|", $"{result.NormalResidualNorm:G4}"],
        ["|x|", $"{result.SolutionNorm:G9}"],
        ["|A| at least", $"{result.NormEstimate:G4}"],
        ["cond(A) at least", $"{result.ConditionEstimate:G4}"],
        ["error of x about", double.IsFinite(result.ErrorEstimate) ? $"{result.ErrorEstimate:G2}" : "unknown"],
        ["seconds", $"{result.Elapsed.TotalSeconds:G4}"],
    ]);

    private static Summary SummaryOf(SolveSettings settings, SparseMatrix matrix, LsmrResult result, string plot) => new() {
        Title = $"solve: {Quoted.Plain(Path.GetFileName(settings.Matrix))}",
        Question = "Which x minimises ‖A x − b‖² + λ²‖x‖², and how many iterations does LSMR need for it?",
        Table = Table(matrix, result),
        Figures = new Dictionary<string, double> {
            ["iterations"] = result.Iterations,
            ["residual_norm"] = result.ResidualNorm,
            ["normal_residual_norm"] = result.NormalResidualNorm,
            ["condition_estimate"] = result.ConditionEstimate,
            ["solution_norm"] = result.SolutionNorm,
            ["error_estimate"] = result.ErrorEstimate,
            ["seconds"] = result.Elapsed.TotalSeconds,
            ["converged"] = result.Converged ? 1 : 0,
        },
        Notes = [result.Converged ? $"{result}." : $"Not converged: {result}; {Advice(result.Stop)}"],
        Plots = [plot],
    };

    private static string Plot(RunFolder folder, List<LsmrProgress> iterations)
    {
        Plot plot = Plots.New("LSMR", "iteration", "norm");
        double[] steps = [.. iterations.Select(progress => (double)progress.Iteration)];
        Plots.Line(plot, "‖r‖", steps, Logarithms(progress => progress.ResidualNorm), Plots.Colours[1]);
        Plots.Line(plot, "‖Aᵀr − λ²x‖", steps, Logarithms(progress => progress.NormalResidualNorm), Plots.Colours[0]);
        Plots.LogarithmicLeft(plot);
        plot.ShowLegend(Alignment.LowerLeft);
        (string file, string relative) = folder.PlotPath("convergence.png");
        Plots.Save(plot, file);
        return relative;

        double[] Logarithms(Func<LsmrProgress, double> norm) => [.. iterations.Select(progress => Logarithm(norm(progress)))];

        static double Logarithm(double value) => double.IsFinite(value) ? Math.Log10(Math.Max(1e-300, value)) : 0;
    }

    private static string Advice(LsmrStop stop) => stop switch {
        LsmrStop.IterationLimit => "allow more --max-iterations, loosen --atol and --btol, or add --damp.",
        LsmrStop.IllConditioned => "add --damp, scale the columns, or raise --condition-limit.",
        LsmrStop.NonFinite => "A or b holds numbers that overflow; rescale them.",
        _ => "see the figures.",
    };
}
