using System.Globalization;
using System.Runtime.CompilerServices;
using NUnit.Framework;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch.Tests;

/// <summary>
/// The snippets of README.md: each region below must stand there as it is, followed by a block with what it prints.
/// </summary>
public class ReadmeTests
{
    private static void Solve()
    {
        #region A solve
        // A x = 2.1 x_i - x_(i-1) - x_(i+1) on a ring of 1,000 points, and a right-hand side
        var A = LinearOperator.FromMatVec(x => 2.1 * x - x.roll(1, 0) - x.roll(-1, 0), inputShape: [1000], dtype: float64);
        var b = arange(1000, float64).sin();
        var result = linalg.lsmr(A, b);
        Console.WriteLine(result);
        // Far from where sin does not close the ring, x_i = b_i / (2.1 - 2 cos 1).
        Console.WriteLine($"{result.Solution[500].item<double>():F6} = {Math.Sin(500) / (2.1 - 2 * Math.Cos(1)):F6}");
        #endregion
    }

    #region A layer: the module
    // Undoes a blur whose kernel is learnt: gradients reach `kernel`, which only the closure knows.
    class Deblur : nn.Module<Tensor, Tensor>
    {
        readonly Parameter kernel = new(tensor([0f, 1f, 0f]));

        public Deblur() : base(nameof(Deblur)) => RegisterComponents();

        public override Tensor forward(Tensor blurred)
        {
            Tensor Blur(Tensor x) => nn.functional.conv1d(x.view(1, 1, -1), kernel.view(1, 1, 3), padding: 1).view(-1);
            return linalg.lsmr(LinearOperator.FromMatVec(Blur, blurred.shape), blurred, damp: 0.1).Solution;
        }
    }
    #endregion

    private static void Layer()
    {
        #region A layer: training
        var sharp = (arange(64) * 0.7f).sin();
        var blurred = 0.6f * sharp + 0.2f * sharp.roll(1, 0) + 0.2f * sharp.roll(-1, 0);
        var model = new Deblur();
        var optimizer = optim.Adam(model.parameters(), 0.02);
        for (int step = 0; step <= 200; step++) {
            using var scope = NewDisposeScope();        // frees every tensor of the step
            optimizer.zero_grad();
            var loss = (model.forward(blurred) - sharp).square().mean();
            loss.backward();                            // a second Krylov solve; its memory does not grow with the iterations
            optimizer.step();
            if (step % 100 == 0)
                Console.WriteLine($"step {step}: loss {loss.item<float>():F4}");
        }
        #endregion
    }

    private static void Trust()
    {
        #region A gradient that says how exact it is
        var M = linalg.vander(linspace(0, 1, 50, dtype: float64), 10).requires_grad_();
        var b = linspace(0, 1, 50, dtype: float64).exp();
        var options = new LsmrOptions { Damp = 1e-3, Gradient = new() { ErrorTarget = 1e-6 } };
        var result = Lsmr.Solve(LinearOperator.FromMatrix(M), b, options);
        result.Solution.sum().backward();
        var report = result.GradientReport;
        Console.WriteLine($"{report!.Kind} after {report.Runs} run: dL/dM is right to 1e-6: {report.Operator!.Value.Relative <= 1e-6}");
        #endregion
    }

    private static void Twice()
    {
        #region Second derivatives, and forward mode
        var scale = tensor(2.0).requires_grad_();
        var A = LinearOperator.FromMatVec(v => scale * v - 0.5 * v.roll(1, 0), [100], float64);
        var b = arange(100, float64).cos();
        var x = Lsmr.Solve(A, b, new LsmrOptions { Gradient = new() { Order = 2 } }).Solution;
        var first = Gradient.Differentiable(x.square().sum(), scale)[0];     // as backward(create_graph: true), without its cycle
        var second = Gradient.Of(first, scale)[0];
        Console.WriteLine($"f' = {first.item<double>():F4}, f'' = {second.item<double>():F4}");
        var dx = Lsmr.Jvp(A, b, x, [(scale, tensor(1.0))]);                 // how x moves with scale
        Console.WriteLine($"f' = {(2 * x * dx).sum().item<double>():F4}");
        #endregion
    }

    private static void Columns()
    {
        #region Several right-hand sides
        var A = LinearOperator.FromMatrix(linalg.vander(linspace(-1, 1, 30, dtype: float64), 5));
        var t = linspace(-1, 1, 30, dtype: float64);
        var result = linalg.lsmr(A, stack([t.exp(), zeros(30, float64), 3 * t], 1));
        Console.WriteLine(string.Join("; ", result.Columns.Select(c => $"{c.Stop}, |r| = {c.ResidualNorm:F4}")));
        #endregion
    }

    private static void Condition()
    {
        #region Ill-conditioned and drifting problems
        var polynomials = (linspace(-1, 1, 100, dtype: float64).acos().view(-1, 1) * arange(20, float64)).cos();    // Chebyshev's
        var A = LinearOperator.FromMatrix(polynomials * logspace(0, -4, 20, dtype: float64));      // columns of very different size
        var b = arange(100, float64).sin();
        var plain = linalg.lsmr(A, b, conlim: 1e12);
        var scaled = Lsmr.Solve(A, b, new LsmrOptions { Preconditioner = Preconditioner.ColumnScaling(A) });
        Console.WriteLine($"{scaled.Stop}, in less than a third of the iterations: {3 * scaled.Iterations < plain.Iterations}");
        #endregion
    }

    private static void Repeat()
    {
        #region What an iteration costs
        // Five weights, fitted anew to each of 1,000 windows of 50 samples.
        var A = LinearOperator.FromMatrix((0.1 * arange(50, float64).view(-1, 1) * arange(5, float64)).cos());
        using var workspace = new LsmrWorkspace(A);
        var weights = zeros(5, float64);
        int converged = 0;
        using (no_grad()) {
            for (int i = 0; i < 1000; i++) {
                using var scope = NewDisposeScope();
                var window = (0.1 * arange(50, float64) + 0.01 * i).sin();
                if (workspace.Solve(window, weights).Converged)
                    converged++;
            }
        }
        Console.WriteLine($"{converged} of 1000 converged; the last weights have norm {weights.norm().item<double>():F3}");
        #endregion
    }

    private static void Compose()
    {
        #region Operators compose like the formula
        var X = arange(40, dtype: float64).view(20, 2).cos();                   // 20 measurements of 2 unknowns
        var weights = linspace(1, 2, 20, dtype: float64);
        var W = LinearOperator.Diagonal(weights);
        var D = LinearOperator.FromMatVec(v => v[1..2] - v[0..1], [2], float64);    // their difference is to be small
        var A = LinearOperator.Stack(W * LinearOperator.FromMatrix(X), 0.5 * D);    // [W X; 0.5 D]
        var b = cat([weights * X.mv(tensor([1.0, 1.2])), zeros(1, float64)]);
        Console.WriteLine(A);
        Console.WriteLine(string.Join(", ", linalg.lsmr(A, b).Solution.data<double>().Select(x => x.ToString("F4"))));
        #endregion
    }

    private static void Constraints()
    {
        #region Ready constraints
        random.manual_seed(2);
        var layer = nn.Linear(6, 6, hasBias: false);
        // The layer is to commute with a rotation of its entries by one place, W R = R W: a circulant matrix.
        var places = tensor([1L, 2, 3, 4, 5, 0]);
        var back = tensor([5L, 0, 1, 2, 3, 4]);
        var rotation = LinearOperator.FromMatVec(v => v.index_select(0, places), u => u.index_select(0, back), [6]);
        var symmetric = Constraint.EquivariantWeights(layer.weight, rotation, rotation);
        var bounded = Constraint.Norm(layer.weight, 1.5);
        var optimizer = new NullSpaceOptimizer(optim.SGD(layer.parameters(), 0.1), layer.parameters(), Constraint.All(symmetric, bounded), rate: 1) {
            WarmUp = 10,                // steps of the inner optimizer alone
            Every = 2,                  // then every second step is projected
            MeasuresAfter = true,
        };
        var inputs = randn(100, 6);
        for (int step = 0; step < 31; step++) {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            (layer.forward(inputs) - inputs.roll(2, 1)).square().mean().backward();
            var report = optimizer.step();
            if (report.Projected && step % 10 == 0)
                Console.WriteLine($"step {step}: |c| {report.ConstraintNorm:F3} -> {report.ConstraintNormAfter:F3}");
        }
        #endregion
    }

    private static void Train()
    {
        #region Training under a constraint
        random.manual_seed(1);
        var model = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 1));
        var x = linspace(-1, 1, 50).view(-1, 1);
        var target = (3 * x).sin() + 0.5f * x.square();
        // The network is to be odd, f(-x) = -f(x), whatever the data say.
        Tensor Oddness() => (model.forward(x) + model.forward(-x)).view(-1);
        var optimizer = new NullSpaceOptimizer(optim.Adam(model.parameters(), 0.01), model.parameters(), Oddness, rate: 0.1, damp: 0.01);
        for (int step = 0; step <= 400; step++) {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            var loss = (model.forward(x) - target).square().mean();
            loss.backward();
            var report = optimizer.step();
            if (step % 200 == 0)
                Console.WriteLine($"step {step}: loss {loss.item<float>():F2}, |c| {report.ConstraintNorm:F2}");
        }
        #endregion
    }

    private static void Diagnose()
    {
        #region Diagnostics
        var A = LinearOperator.FromMatrix(linalg.vander(linspace(0, 1, 30, dtype: float64), 8));    // polynomials: ill-conditioned
        var b = linspace(0, 1, 30, dtype: float64).exp();
        var history = new List<LsmrProgress>();
        var result = linalg.lsmr(A, b, maxiter: 4, stop_when: p => { history.Add(p); return p.Elapsed > TimeSpan.FromSeconds(2); });
        Console.WriteLine(result);
        Console.WriteLine($"converged: {result.Converged}; |A'r| fell from {history[0].NormalResidualNorm:0.0e+00} to {history[^1].NormalResidualNorm:0.0e+00}");
        Console.WriteLine(linalg.lsmr(A, b, damp: 1e-2).Converged);
        #endregion
    }

    private static readonly Dictionary<string, Action> Snippets = new() {
        ["A solve"] = Solve,
        ["A layer: the module"] = () => { },
        ["A layer: training"] = Layer,
        ["A gradient that says how exact it is"] = Trust,
        ["Second derivatives, and forward mode"] = Twice,
        ["Several right-hand sides"] = Columns,
        ["Ill-conditioned and drifting problems"] = Condition,
        ["What an iteration costs"] = Repeat,
        ["Operators compose like the formula"] = Compose,
        ["Training under a constraint"] = Train,
        ["Ready constraints"] = Constraints,
        ["Diagnostics"] = Diagnose,
    };

    public static IEnumerable<string> Names => Snippets.Keys;

    [TestCaseSource(nameof(Names))]
    public void A_snippet_stands_in_the_readme_with_what_it_prints(string name)
    {
        string printed = Run(Snippets[name]);
        TestContext.Out.WriteLine(printed);
        string readme = File.ReadAllText(Path.Combine(Path.GetDirectoryName(Here())!, "..", "README.md"));
        string code = $"```csharp\n{Region(name)}\n```\n";
        Assert.That(readme, Does.Contain(code), "the code");
        if (printed.Length > 0)
            Assert.That(readme, Does.Contain($"{code}\n```text\n{printed}```\n"), "what it prints");
    }

    private static string Run(Action snippet)
    {
        TextWriter console = Console.Out;
        CultureInfo culture = CultureInfo.CurrentCulture;
        using var scope = NewDisposeScope();
        using var written = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        try {
            CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
            Console.SetOut(written);
            snippet();
        } finally {
            Console.SetOut(console);
            CultureInfo.CurrentCulture = culture;
        }
        return written.ToString();
    }

    /// <summary>The lines of a region of this file, without their common indentation.</summary>
    private static string Region(string name)
    {
        string[] lines = File.ReadAllLines(Here());
        int start = Array.FindIndex(lines, line => line.TrimStart() == $"#region {name}");
        string[] body = [.. lines.Skip(start + 1).TakeWhile(line => line.TrimStart() != "#endregion")];
        int indentation = lines[start].Length - lines[start].TrimStart().Length;
        return string.Join('\n', body.Select(line => line.Length > indentation ? line[indentation..] : ""));
    }

    private static string Here([CallerFilePath] string file = "") => file;
}
