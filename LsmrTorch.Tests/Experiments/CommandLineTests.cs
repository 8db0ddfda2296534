using System.Globalization;
using LsmrTorch.Experiments;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

public class CommandLineTests
{
    [TestCase("", 2, "Name an experiment: ")]
    [TestCase("juggle", 2, "There is no experiment 'juggle', only ")]
    [TestCase("sparsity --preset huge", 2, "--preset must be one of smoke, small, paper, but is 'huge'.")]
    [TestCase("sparsity --device tpu", 2, "--device must be one of cpu, cuda, but is 'tpu'.")]
    [TestCase("sparsity --threads 0", 2, "--threads must be at least 1.")]
    [TestCase("sparsity --seed x", 2, "Cannot parse argument 'x'")]
    [TestCase("sparsity --speed 3", 2, "Unrecognized command or argument '--speed'.")]
    [TestCase("sparsity --data /no/such/folder", 1, "The CIFAR-10 folder /no/such/folder does not exist.")]
    [TestCase("sparsity --out /dev/null/results", 1, "A file could not be read or written: ")]
    [TestCase("solve", 2, "Option '--matrix' is required.")]
    [TestCase("solve --matrix /no/such/file", 1, "/no/such/file does not exist.")]
    [TestCase("solve --matrix /no/such/file --damp -1", 2, "--damp must be at least 0, but is -1.")]
    [TestCase("solve --matrix /no/such/file --atol NaN", 2, "--atol must be at least 0, but is NaN.")]
    [TestCase("solve --matrix /no/such/file --damp 0,7", 2, "--damp must be a number such as 0.01, but is '0,7'.")]
    [TestCase("solve --matrix /no/such/file --max-iterations -3", 2, "--max-iterations must not be negative.")]
    public void A_mistake_is_one_sentence_and_an_exit_code(string line, int code, string sentence)
    {
        (int actual, _, string error) = Run(line);
        Assert.That(error, Does.StartWith(sentence));
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(error, Does.Not.Contain("   at "));
        Assert.That(actual, Is.EqualTo(code));
    }

    [Test]
    public void Cuda_that_is_not_there_is_one_sentence()
    {
        if (TorchSharp.torch.cuda.is_available()) {
            Assert.Ignore("There is a CUDA device here.");
        }
        (int code, _, string error) = Run("sparsity --device cuda");
        Assert.That(error.TrimEnd(), Is.EqualTo("--device cuda needs a CUDA device and a build with -p:Torch=cuda; this process sees none."));
        Assert.That(code, Is.EqualTo(1));
    }

    [TestCase("--help")]
    [TestCase("sparsity --help")]
    [TestCase("solve --help")]
    public void Help_is_no_mistake(string line)
    {
        (int code, string output, string error) = Run(line);
        Assert.That(output, Does.Contain("Usage:"));
        Assert.That(error, Is.Empty);
        Assert.That(code, Is.Zero);
    }

    [Test]
    [SetCulture("de-DE")]
    public void Numbers_are_read_with_a_point_under_any_culture()
    {
        (_, _, string error) = Run("solve --matrix /no/such/file --condition-limit 0.5");
        Assert.That(error.TrimEnd(), Is.EqualTo("--condition-limit must be over 1, but is 0.5."));
        Assert.That(CultureInfo.CurrentCulture.Name, Is.EqualTo("de-DE"));
    }

    internal static (int Code, string Output, string Error) Run(string line) =>
        Run(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    internal static (int Code, string Output, string Error) Run(string[] args)
    {
        var output = new StringWriter();
        var error = new StringWriter();
        int code = Program.Run(args, output, error);
        return (code, output.ToString(), error.ToString());
    }
}
