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
    [TestCase("sparsity --threads 0", 2, "--threads must be at least 1, but is 0.")]
    [TestCase("sparsity --threads abc", 2, "--threads must be a whole number, but is 'abc'.")]
    [TestCase("sparsity --threads 2.5", 2, "--threads must be a whole number, but is '2.5'.")]
    [TestCase("sparsity --threads 99999999999999999999", 2, "--threads must be at most 1024, but is 99999999999999999999.")]
    [TestCase("sparsity --threads", 2, "Required argument missing for option: '--threads'.")]
    [TestCase("sparsity --threads 1 --threads 2", 2, "Option '--threads' expects a single argument but 2 were provided.")]
    [TestCase("sparsity --seed x", 2, "--seed must be a whole number, but is 'x'.")]
    [TestCase("sparsity --seed 1e3", 2, "--seed must be a whole number, but is '1e3'.")]
    [TestCase("sparsity --seed 9223372036854775808", 2, "--seed must be at most 9223372036854775807, but is 9223372036854775808.")]
    [TestCase("sparsity --resume --overwrite", 2, "--resume and --overwrite exclude each other")]
    [TestCase("gp-calibration --kernel 7", 2, "--kernel must be one of matern32, ")]
    [TestCase("solve --matrix @file", 1, "@file does not exist.")]
    [TestCase("sparsity --speed 3", 2, "Unrecognized command or argument '--speed'.")]
    [TestCase("sparsity --data /no/such/folder", 1, "The CIFAR-10 folder /no/such/folder does not exist.")]
    [TestCase("sparsity --out /dev/null/results", 1, "A file could not be read or written: ")]
    [TestCase("solve", 2, "Option '--matrix' is required.")]
    [TestCase("solve --matrix /no/such/file", 1, "/no/such/file does not exist.")]
    [TestCase("solve --matrix /no/such/file --damp -1", 2, "--damp must be at least 0, but is -1.")]
    [TestCase("solve --matrix /no/such/file --atol NaN", 2, "--atol must be at least 0, but is NaN.")]
    [TestCase("solve --matrix /no/such/file --atol Infinity", 2, "--atol must be finite, but 'Infinity' is not.")]
    [TestCase("solve --matrix /no/such/file --damp 1e999", 2, "--damp must be finite, but '1e999' is not.")]
    [TestCase("solve --matrix /no/such/file --condition-limit 1e400", 2, "--condition-limit must be finite, but '1e400' is not.")]
    [TestCase("solve --matrix /no/such/file --condition-limit 1", 2, "--condition-limit must be over 1, but is 1.")]
    [TestCase("solve --matrix /no/such/file --max-iterations x", 2, "--max-iterations must be a whole number, but is 'x'.")]
    [TestCase("solve --matrix /no/such/file --max-iterations 2147483648", 2, "--max-iterations must be at most 2147483647")]
    [TestCase("solve --matrix /no/such/file --btol ٣", 2, "--btol must be a number such as 0.01, but is '٣'.")]
    [TestCase("solve --matrix /no/such/file --damp 0,7", 2, "--damp must be a number such as 0.01, but is '0,7'.")]
    [TestCase("solve --matrix /no/such/file --max-iterations -3", 2, "--max-iterations must not be negative, but is -3.")]
    public void A_mistake_is_one_sentence_and_an_exit_code(string line, int code, string sentence)
    {
        (int actual, _, string error) = Run(line);
        Assert.That(error, Does.StartWith(sentence));
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(error, Does.Not.Contain("   at "));
        Assert.That(actual, Is.EqualTo(code));
    }

    [TestCase("sparsity", "--threads")]
    [TestCase("sparsity", "--seed")]
    [TestCase("sparsity", "--preset")]
    [TestCase("sparsity", "--device")]
    [TestCase("sparsity", "--data")]
    [TestCase("sparsity", "--out")]
    [TestCase("gradient-check", "--cases")]
    [TestCase("benchmark", "--python")]
    [TestCase("gp-calibration", "--kernel")]
    [TestCase("solve", "--matrix")]
    [TestCase("solve", "--rhs")]
    [TestCase("solve", "--damp")]
    [TestCase("solve", "--max-iterations")]
    [TestCase("solve", "--out-x")]
    [TestCase("solve", "--out")]
    public void An_option_without_its_text_is_a_mistake(string experiment, string option)
    {
        foreach (string text in new[] { "", " ", "\0" }) {
            string[] required = experiment == "solve" && option != "--matrix" ? ["--matrix", "m"] : [];
            (int code, _, string error) = Run([experiment, .. required, option, text]);
            Assert.That(error, Does.StartWith($"{option} must "));
            Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
            Assert.That(code, Is.EqualTo(2));
        }
    }

    [TestCase("\u001b[31mred", "'\\u001B[31mred'")]
    [TestCase("two\nlines\r\t", "'two\\nlines\\r\\t'")]
    [TestCase("right\u202eleft", "'right\\u202Eleft'")]
    [TestCase("aaaaaaaaaabbbbbbbbbbccccccccccddddddddddX", "'aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd…'")]
    public void What_a_message_repeats_is_cut_and_escaped(string typed, string shown)
    {
        Assert.That(Run([typed]).Error, Does.StartWith($"There is no experiment {shown}, only "));
        Assert.That(Run(["sparsity", "--seed", typed]).Error.TrimEnd(), Is.EqualTo($"--seed must be a whole number, but is {shown}."));
        Assert.That(Run(["solve", "--matrix", "m", "--damp", typed]).Error, Does.Contain(shown));
    }

    [Test]
    public void An_unknown_option_of_any_length_is_one_short_sentence()
    {
        string error = Run(["sparsity", "--" + new string('x', 10_000) + "\u001b[2J"]).Error;
        Assert.That(error.Length, Is.LessThan(400));
        Assert.That(error, Does.StartWith("Unrecognized command or argument "));
        Assert.That(error.TrimEnd('\n').Any(char.IsControl), Is.False, error);
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
