using System.Text.Json.Nodes;
using LsmrTorch.Experiments.Benchmark;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

/// <summary>The smoke preset, once; other solvers that fail; and the arithmetic. No time is asserted.</summary>
public class BenchmarkTests : ExperimentRunTests
{
    // One small case: what is looked at is the process beside it.
    private static readonly BenchmarkSizes s_least = BenchmarkSizes.Of("smoke") with {
        Rounds = 2,
        LargeRounds = 2,
        TurnSeconds = 0.001,
        WarmUpSeconds = 0.001,
        Dense = [new(40, 20, false, new(3, 9))],
        Csr = [],
        RightHandSides = [1, 2],
        NetworkImages = 1,
    };

    protected override (int Code, string Output) RunWhole()
    {
        (int code, string output, _) = CommandLineTests.Run(["benchmark", "--preset", "smoke", "--out", Folder["whole"]]);
        return (code, output);
    }

    [Test]
    public void The_smoke_preset_writes_every_figure()
    {
        Assert.That(Code, Is.Zero);
        JsonObject figures = Figures("whole");
        string[] others = HasScipy ? ["read", "libtorch_products", "naive", "scipy"] : ["read", "libtorch_products", "naive"];
        string[] expected = [
            .. from name in new[] { "dense_40x20_f64", "dense_20x40_f64", "dense_60x30_f32", "csr_1e3", "generated1033" }
               from other in others select $"{name}_over_{other}",
            "csr_1e3_over_libtorch_csr", "dense_40x20_f64_solution_over_lstsq", "dense_40x20_f64_solution_iterations",
            "conv_over_naive", "conv_autograd_over_libtorch_products", "closure_overhead_us", "closure_autograd_overhead_us",
            "jacobian_overhead_percent", "rhs_8_over_1", "rhs_64_over_1", "copy_gb_per_s",
            "dense_40x20_f64_ours_us", "dense_40x20_f64_ours_fixed_us", "dense_40x20_f64_read_us", "jacobian_products_us", "rhs_libtorch_products_64_us",
        ];
        Assert.That(figures.Select(figure => figure.Key), Is.SupersetOf(expected));
        Assert.That(figures.Where(figure => figure.Value is null).Select(figure => figure.Key), Is.Empty);
        // Differences of times of a few microseconds may come out below zero where the machine has other work: the slope and what is made of it.
        Assert.That(figures.Where(figure => IsOfCalls(figure.Key) && !(figure.Value!.GetValue<double>() > 0)).Select(figure => figure.Key), Is.Empty);

        static bool IsOfCalls(string figure) =>
            figure.EndsWith("read_us", StringComparison.Ordinal) || figure.EndsWith("products_us", StringComparison.Ordinal) || figure.Contains("_solution_") || figure.StartsWith("copy", StringComparison.Ordinal);
    }

    [Test]
    public void Every_method_has_a_turn_in_every_round()
    {
        var turns = File.ReadAllLines(Folder["whole/metrics.jsonl"]).Select(line => JsonNode.Parse(line)!)
            .GroupBy(line => (line["case"]!.GetValue<string>(), line["method"]!.GetValue<string>()))
            .ToDictionary(group => group.Key, group => group.Select(line => line["round"]!.GetValue<int>()).ToArray());
        Assert.That(turns.Values, Has.All.EqualTo(new[] { 0, 1, 2 }));
        Assert.That(turns.Keys.Select(key => key.Item1).Distinct().Count(), Is.EqualTo(13));
    }

    [Test]
    public void The_table_and_the_plots_are_there()
    {
        foreach (string plot in new[] { "dense_f64", "dense_f32", "csr", "right_hand_sides" }) {
            Assert.That(File.ReadAllBytes(Folder[$"whole/plots/{plot}.png"])[..4], Is.EqualTo(new byte[] { 0x89, (byte)'P', (byte)'N', (byte)'G' }), plot);
        }
        Assert.That(Output, Does.Contain("| dense_40x20_f64 ").And.Contain("libtorch_products").And.Contain("ours over it"));
        Assert.That(File.ReadAllText(Folder["whole/summary.md"]), Does.Contain("| case | MB | method |").And.Contain("(plots/csr.png)"));
    }

    [Test]
    public void The_data_has_well1033_or_is_refused_at_once()
    {
        Directory.CreateDirectory(Folder["data/matrices"]);
        (int code, _, string error) = CommandLineTests.Run(["benchmark", "--data", Folder["data"], "--out", Folder["no-data"]]);
        Assert.That(error, Does.StartWith("There is no ").And.Contain("well1033.mtx.gz: without --data a generated matrix takes its place."));
        Assert.That(code, Is.EqualTo(1));

        File.WriteAllText(Folder["data/matrices/well1033.mtx.gz"], "%%MatrixMarket matrix coordinate real general\n3 2 3\n1 1 1\n2 2 1\n3 1 2\n");
        Assert.That(CsrCases.WellFile(Folder["data"]), Is.EqualTo(Folder["data/matrices/well1033.mtx.gz"]));
        Assert.That(CsrCases.WellFile(null), Is.Null);
        using var scope = NewDisposeScope();
        var bench = new Workbench(s_least, 0, CPU, []);
        Assert.That(CsrCases.Well(CsrCases.WellFile(Folder["data"]), bench).Single().Name, Is.EqualTo("well1033"));
        Case generated = CsrCases.Well(null, bench).Single();
        Assert.That((generated.Name, generated.Bytes), Is.EqualTo(("generated1033", 8L * ((2 * 4732) + 1034))));
    }

    [TestCase("/no/such/python", "There is no /no/such/python to run scipy by.")]
    [TestCase("/bin/echo", "scipy: /bin/echo answered ")]
    [TestCase("/bin/false", "scipy: /bin/false has ended.")]
    public void An_interpreter_that_is_none_is_a_note(string python, string sentence)
    {
        RequireShell();
        (int code, string output) = Run("none", python);
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain(sentence).And.Contain("Its figures are left out."));
        JsonObject figures = Figures("none");
        Assert.That(figures.Select(figure => figure.Key), Has.None.Contain("scipy").And.Contain("dense_40x20_f64_over_naive"));
    }

    [Test]
    public void A_solver_that_dies_in_the_middle_is_left_out_and_named()
    {
        RequireShell();
        (int code, string output) = Run("dies", Child("echo ready fake 1; read a; echo loaded; read a; echo ran 3 0.5; read a; exit 0"));
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("child has ended. Its figures are left out."));
        Assert.That(Figures("dies").Select(figure => figure.Key), Has.None.Contain("scipy").And.Contain("rhs_2_over_1"));
    }

    [TestCase("echo ready fake 1; read a; echo loaded; read a; echo ran 5 -1", "answered 'ran 5 -1' when asked for at most 7 iterations")]
    [TestCase("echo ready fake 1; read a; echo loaded; read a; echo ran 8 1.0", "answered 'ran 8 1.0'")]
    [TestCase("echo ready fake 1; read a; echo loaded; read a; echo ran 5 NaN", "answered 'ran 5 NaN'")]
    [TestCase("echo ready fake 1; read a; echo loaded; read a; echo what", "answered 'what' where 'ran' was due")]
    [TestCase("echo ready fake 1; read a; echo loaded; read a; echo error MemoryError: no more", "says: MemoryError: no more.")]
    [TestCase("echo ready fake 1; read a; echo loaded; exit 3", "has ended")]
    public void An_answer_that_is_nonsense_is_told_and_ends_the_use_of_the_solver(string lines, string sentence)
    {
        RequireShell();
        using var scope = NewDisposeScope();
        using OtherSolver other = OtherSolver.Start("scipy", [Child(lines)]);
        Assert.That(other.Version, Is.EqualTo("fake 1"));
        other.Load(ones(3, 2, float64), ones(3, float64));
        OtherSolverException? error = Assert.Throws<OtherSolverException>(() => other.Solve(7));
        Assert.That(error!.Message, Does.Contain(sentence));
        Assert.That(other.Failure, Is.EqualTo(error.Message));
        Assert.That(Assert.Throws<OtherSolverException>(() => other.Solve(7))!.Message, Is.EqualTo(error.Message));
    }

    [Test]
    public void The_first_interpreter_that_has_the_package_is_taken()
    {
        RequireShell();
        using (OtherSolver other = OtherSolver.Start("scipy", ["/no/such/python", Child("echo ready fake 2; read a; echo loaded; read a; echo ran 4 0.25; read a")])) {
            using var scope = NewDisposeScope();
            other.Load(ones(3, 2, float64), ones(3, float64));
            Assert.That(other.Solve(4), Is.EqualTo(new TimedSolve(4, 0.25)));
        }
        OtherSolverException? none = Assert.Throws<OtherSolverException>(() => OtherSolver.Start("scipy", ["/no/such/python", "/no/such/other"]));
        Assert.That(none!.Message, Is.EqualTo("There is no /no/such/python to run scipy by. There is no /no/such/other to run scipy by."));
    }

    [Test]
    public void Scipy_does_the_iterations_that_it_is_asked_for_on_both_kinds_of_matrix()
    {
        OtherSolver scipy;
        try {
            scipy = OtherSolver.Start("scipy", ["/usr/bin/python3", "python3"]);
        } catch (OtherSolverException error) {
            Assert.Ignore(error.Message);
            throw;
        }
        using (scipy) {
            using var scope = NewDisposeScope();
            using Generator generator = new(3, CPU);
            CsrMatrix csr = CsrMatrix.Random(60, 30, 5, 30, generator, CPU);
            Tensor b = randn(60, float64, generator: generator);
            scipy.Load(csr, b);
            Assert.That(scipy.Solve(7).Iterations, Is.EqualTo(7));
            scipy.Load(Dense(csr).to(float32), b.to(float32));
            Assert.That(scipy.Solve(9).Iterations, Is.EqualTo(9));
            Assert.That(scipy.Version, Does.StartWith("scipy "));
        }
    }

    [Test]
    public void A_slope_is_seconds_per_iteration_and_the_rest_is_fixed()
    {
        (double perIteration, double besides) = TimedSolve.Slope(new TimedSolve(10, 1.5), new TimedSolve(30, 3.5));
        Assert.That(perIteration, Is.EqualTo(0.1).Within(1e-15));
        Assert.That(besides, Is.EqualTo(0.5).Within(1e-15));
        Assert.Throws<ArgumentException>(() => TimedSolve.Slope(new TimedSolve(10, 1.5), new TimedSolve(10, 3.5)));
    }

    [Test]
    public void Quantiles_lie_between_two_values_in_proportion()
    {
        Assert.That(Statistics.Median([4, 1, 3, 2]), Is.EqualTo(2.5));
        Assert.That(Statistics.Median([5, 1, 3]), Is.EqualTo(3));
        Assert.That(Statistics.Quantile([4, 1, 3, 2], 0.25), Is.EqualTo(1.75));
        Assert.That(Statistics.Quantile([7], 0.75), Is.EqualTo(7));
        Assert.That(Statistics.MedianRatio([2, 6, 9], [1, 2, 4]), Is.EqualTo(2.25));
    }

    [Test]
    public void Figures_are_made_of_ratios_and_differences_within_rounds()
    {
        Dictionary<string, double> figures = BenchmarkReport.Figures([
            Measured("dense_2x1_f64", 16, ("ours", [2, 6, 9]), ("read", [1, 2, 4])),
            Measured("closure", 0, ("ours", [10, 12, 20]), ("products", [4, 2, 5])),
            Measured("jacobian", 0, ("ours", [110, 105, 120]), ("products", [100, 100, 100])),
            Measured("rhs", 16, ("ours_1", [10, 20, 10]), ("ours_8", [40, 40, 40])),
            Measured("copy", 1000, ("copy", [2, 4, 8])),
        ]);
        var expected = new Dictionary<string, double> {
            ["dense_2x1_f64_over_read"] = 2.25,
            ["closure_overhead_us"] = 10,           // of 6, 10, 15
            ["jacobian_overhead_percent"] = 10,
            ["rhs_8_over_1"] = 0.5,                 // of 4, 2, 4, for eight columns
            ["copy_gb_per_s"] = 0.5,
            ["dense_2x1_f64_ours_us"] = 6,
            ["dense_2x1_f64_ours_fixed_us"] = 1,
        };
        foreach ((string name, double value) in expected) {
            Assert.That(figures[name], Is.EqualTo(value).Within(1e-12), name);
        }
        Assert.That(figures.Keys, Has.None.Contain("closure_over_"));

        static CaseResult Measured(string name, long bytes, params (string, double[])[] methods) => new(name, "", bytes,
            [.. methods.Select(own => (own.Item1, own.Item2.Select(time => new Sample(time, own.Item1 == "ours" ? 1 : null, 5)).ToArray()))]);
    }

    [Test]
    public void The_methods_take_turns_in_an_order_that_moves_on()
    {
        var order = new List<string>();
        Method[] methods = [.. new[] { "a", "b", "c" }.Select(name => new Noted(name, order))];
        using var folder = new RunFolder(Folder["order"], []);
        folder.Start(CPU);
        int rounds = 0;
        CaseResult result = Rounds.Run(new Case("x", "", 0, 3, methods), s_least, folder, CancellationToken.None, () => rounds++);
        Assert.That(string.Concat(order), Is.EqualTo("abc" + "abcbcacab"));     // warmed up, then three rounds
        Assert.That(rounds, Is.EqualTo(3));
        Assert.That(result.Times("b"), Is.EqualTo(new double[] { 5, 7, 12 }));   // by how much had been noted
        Assert.Throws<OperationCanceledException>(() =>
            Rounds.Run(new Case("x", "", 0, 3, methods), s_least, folder, new CancellationToken(true), () => { }));
    }

    [Test]
    public void The_plain_loop_solves_as_dense_algebra_does()
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(5, CPU);
        foreach ((long m, long n) in new[] { (30L, 12L), (12L, 30L) }) {
            Tensor matrix = randn(m, n, float64, generator: generator), b = randn(m, float64, generator: generator);
            (Tensor x, int iterations) = NaiveLsmr.Solve(v => matrix.mv(v), u => matrix.t().mv(u), b, 200, 1e-14);
            Tensor expected = linalg.lstsq(matrix, b.unsqueeze(1)).Solution.squeeze(1);
            Assert.That((x - expected).norm().ToDouble(), Is.LessThan(1e-11 * expected.norm().ToDouble()));
            Assert.That(iterations, Is.InRange(10, 60));
        }
    }

    [Test]
    public void Both_forms_of_a_CSR_matrix_multiply_as_the_dense_one()
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(7, CPU);
        foreach (CsrMatrix csr in new[] { CsrMatrix.Random(40, 20, 5, 30, generator, CPU), CsrMatrix.OfEntries(11, 9, 25, 30, new Random(1), generator, CPU) }) {
            Tensor dense = Dense(csr), v = randn(csr.Columns, float64, generator: generator), u = randn(csr.Rows, float64, generator: generator);
            (Tensor sparse, Tensor transpose) = csr.Sparse();
            foreach ((Tensor found, Tensor expected) in new[] {
                (csr.Product(v), dense.mv(v)), (csr.TransposedProduct(u), dense.t().mv(u)), (sparse.mv(v), dense.mv(v)), (transpose.mv(u), dense.t().mv(u)),
                (csr.Operator().Apply(v), dense.mv(v)),
            }) {
                Assert.That((found - expected).norm().ToDouble(), Is.LessThan(1e-13 * (1 + expected.norm().ToDouble())));
            }
            Assert.That(count_nonzero(dense).item<long>(), Is.EqualTo(csr.Values.numel()));     // no place twice
        }
    }

    private bool HasScipy => !Output.Contains("Its figures are left out.");

    private static Tensor Dense(CsrMatrix csr) =>
        zeros(csr.Rows, csr.Columns, float64).index_put_(csr.Values, csr.RowOf, csr.ColumnIndices);

    private static void RequireShell()
    {
        if (OperatingSystem.IsWindows()) {
            Assert.Ignore("The fake interpreters are shell scripts.");
        }
    }

    // An interpreter that does not read its script.
    private string Child(string lines)
    {
        string path = Folder["child"];
        File.WriteAllText(path, "#!/bin/sh\n" + lines + "\n");
        if (!OperatingSystem.IsWindows()) {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        return path;
    }

    private (int Code, string Output) Run(string name, string python)
    {
        var output = new StringWriter();
        var console = new RunConsole(output, TextWriter.Null, false, CancellationToken.None);
        return (new BenchmarkExperiment().Execute(s_least with { Python = python }, new RunSettings { Out = Folder[name] }, console), output.ToString());
    }

    private JsonObject Figures(string run) =>
        (JsonObject)JsonNode.Parse(File.ReadAllText(Folder[run + "/summary.json"]))!["figures"]!;

    /// <summary>Notes its turns, and measures how many were noted.</summary>
    private sealed class Noted(string name, List<string> order) : Method(name)
    {
        public override void WarmUp(double seconds, double turnSeconds) => order.Add(Name);

        public override Sample Turn()
        {
            order.Add(Name);
            return new Sample(order.Count, null, 0);
        }
    }
}
