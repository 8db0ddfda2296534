using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Tests.Experiments;

public class SolveTests
{
    // [2 1; 0 3; 1 0; 4 5], coordinates in no order, as a user might write it.
    private const string Matrix = "%%MatrixMarket matrix coordinate real general\n% small\n4 2 6\n4 2 5\n1 1 2\n1 2 1\n2 2 3\n3 1 1\n4 1 4\n";
    private const string RightHandSide = "%%MatrixMarket matrix array real general\n4 1\n1\n-2\n0.5\n3\n";

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void Write()
    {
        _folder = new TemporaryFolder();
        File.WriteAllText(_folder["a.mtx"], Matrix);
        File.WriteAllText(_folder["b.mtx"], RightHandSide);
    }

    [TearDown]
    public void Delete() => _folder.Dispose();

    [TestCase(0.0)]
    [TestCase(0.7)]
    public void The_solution_is_that_of_dense_algebra(double damp)
    {
        using var scope = NewDisposeScope();
        (int code, string output, string error) = Run("--rhs", _folder["b.mtx"], "--damp", FormattableString.Invariant($"{damp}"), "--out-x", _folder["x.mtx"]);
        Assert.That(error, Is.Empty);
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("iterations"));

        Tensor a = tensor(new double[,] { { 2, 1 }, { 0, 3 }, { 1, 0 }, { 4, 5 } });
        Tensor b = tensor(new[] { 1, -2, 0.5, 3 });
        Tensor normal = a.t().matmul(a) + (damp * damp * eye(2, dtype: float64));
        Tensor expected = linalg.solve(normal, a.t().matmul(b));
        Assert.That(MatrixMarket.ReadVector(_folder["x.mtx"]), Is.EqualTo(expected.data<double>().ToArray()).Within(1e-9));

        JsonNode figures = Summary()["figures"]!;
        double residual = Math.Sqrt((b - a.matmul(expected)).square().sum().item<double>()
            + (damp * damp * expected.square().sum().item<double>()));
        Assert.That(figures["residual_norm"]!.GetValue<double>(), Is.EqualTo(residual).Within(1e-9));
        Assert.That(figures["iterations"]!.GetValue<double>(), Is.InRange(1, 3));
        Assert.That(figures["converged"]!.GetValue<double>(), Is.EqualTo(1));
        Assert.That(File.ReadAllLines(_folder["out/metrics.jsonl"]), Has.Length.EqualTo((int)figures["iterations"]!.GetValue<double>()));
        Assert.That(new FileInfo(_folder["out/plots/convergence.png"]).Length, Is.GreaterThan(1000));
    }

    [Test]
    public void Without_a_right_hand_side_the_solution_is_one()
    {
        (int code, _, _) = Run("--out-x", _folder["x.mtx"]);
        Assert.That(code, Is.Zero);
        Assert.That(MatrixMarket.ReadVector(_folder["x.mtx"]), Is.EqualTo(new double[] { 1, 1 }).Within(1e-9));
    }

    [Test]
    public void A_right_hand_side_of_zero_is_solved_by_zero()
    {
        File.WriteAllText(_folder["b.mtx"], "%%MatrixMarket matrix array real general\n4 1\n0\n0\n0\n0\n");
        (int code, _, string error) = Run("--rhs", _folder["b.mtx"], "--out-x", _folder["x.mtx"]);
        Assert.That(error, Is.Empty);
        Assert.That(code, Is.Zero);
        Assert.That(MatrixMarket.ReadVector(_folder["x.mtx"]), Is.EqualTo(new double[] { 0, 0 }));
    }

    [Test]
    public void Too_few_iterations_say_so_and_still_write_x()
    {
        (int code, _, string error) = Run("--rhs", _folder["b.mtx"], "--max-iterations", "1", "--out-x", _folder["x.mtx"]);
        Assert.That(error, Does.StartWith("Not converged: LSMR stopped on IterationLimit after 1 iterations").And.Contains("--max-iterations"));
        Assert.That(code, Is.EqualTo(3));
        Assert.That(MatrixMarket.ReadVector(_folder["x.mtx"]), Has.Length.EqualTo(2));
        Assert.That(Summary()["figures"]!["converged"]!.GetValue<double>(), Is.Zero);
    }

    [Test]
    public void A_right_hand_side_of_the_wrong_length_is_one_sentence()
    {
        File.WriteAllText(_folder["b.mtx"], "%%MatrixMarket matrix array real general\n3 1\n0\n0\n0\n");
        (int code, _, string error) = Run("--rhs", _folder["b.mtx"]);
        Assert.That(error.TrimEnd(), Is.EqualTo($"{_folder["b.mtx"]} has 3 numbers, but {_folder["a.mtx"]} has 4 rows."));
        Assert.That(code, Is.EqualTo(1));
    }

    [Test]
    public void An_x_that_cannot_be_written_is_one_sentence()
    {
        (int code, _, string error) = Run("--out-x", _folder["no/folder/x.mtx"]);
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(error, Does.Contain("x.mtx cannot be written"));
        Assert.That(code, Is.EqualTo(1));
    }

    // SciPy 1.10.1, lsmr(atol = btol = 1e-10, conlim = 1e12), and the residual norms that LAPACK finds: shared/data/README.md.
    [TestCase("well1033", 199, 0.75215787)]
    [TestCase("illc1033", 3344, 0.75215787)]
    [TestCase("well1850", 495, 1.27813935)]
    public void Real_matrices_take_as_many_iterations_as_SciPy(string name, int iterations, double residual)
    {
        string matrix = SharedData.Require($"matrices/{name}.mtx.gz");
        string rhs = SharedData.Require($"matrices/{name}_rhs1.mtx.gz");
        (int code, _, string error) = CommandLineTests.Run(["solve", "--matrix", matrix, "--rhs", rhs, "--atol", "1e-10", "--btol", "1e-10",
            "--condition-limit", "1e12", "--out-x", _folder["x.mtx"], "--out", _folder["out"]]);
        Assert.That(error, Is.Empty);
        Assert.That(code, Is.Zero);
        JsonNode figures = Summary()["figures"]!;
        Assert.That(figures["iterations"]!.GetValue<double>(), Is.EqualTo(iterations).Within(5).Percent);
        Assert.That(figures["residual_norm"]!.GetValue<double>(), Is.EqualTo(residual).Within(1e-8));
    }

    private (int Code, string Output, string Error) Run(params string[] options) =>
        CommandLineTests.Run(["solve", "--matrix", _folder["a.mtx"], "--out", _folder["out"], .. options]);

    private JsonNode Summary() => JsonNode.Parse(File.ReadAllText(_folder["out/summary.json"]))!;
}
