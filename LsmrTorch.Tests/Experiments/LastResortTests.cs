using System.Runtime.InteropServices;
using LsmrTorch.Experiments.Running;
using NUnit.Framework;

namespace LsmrTorch.Tests.Experiments;

public class LastResortTests
{
    private static readonly Exception[] s_thrown = [
        new OutOfMemoryException("Array dimensions exceeded supported range."),
        new ExternalException("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried\nstack"),
        new TypeInitializationException("TorchSharp.torch", new NotSupportedException("no libtorch")),
        new AggregateException(new AggregateException(new IOException("No space left on device"))),
        new NullReferenceException(),
        new KeyNotFoundException("The given key 'a\u001b[31m\nb' was not present."),
        new ArgumentException("rule"),
        new DllNotFoundException("libtorch.so"),
        new LsmrException("no convergence"),
        new ExperimentException("two\nlines"),
        new IndexOutOfRangeException(new string('x', 10_000)),
    ];

    [TestCaseSource(nameof(s_thrown))]
    public void Whatever_is_thrown_is_one_sentence_and_exit_code_one(Exception thrown)
    {
        var error = new StringWriter();
        Assert.That(LastResort.Run(error, () => throw thrown), Is.EqualTo(1));
        string text = error.ToString();
        Assert.That(text.TrimEnd('\n'), Is.Not.Empty.And.Not.Contain("   at "));
        Assert.That(text.TrimEnd('\n').Any(char.IsControl), Is.False, text); // culture passes over control characters
        Assert.That(text.Length, Is.LessThan(700));
    }

    [Test]
    public void The_cause_inside_is_told()
    {
        Assert.That(Told(s_thrown[0]), Does.StartWith("The memory does not suffice"));
        Assert.That(Told(s_thrown[1]), Does.StartWith("The memory does not suffice: [enforce fail"));
        Assert.That(Told(s_thrown[2]), Does.Contain("no libtorch"));
        Assert.That(Told(s_thrown[3]), Does.StartWith("A file could not be read or written: No space left on device"));
        Assert.That(Told(s_thrown[4]), Does.Contain("NullReferenceException").And.Contain("LSMRTORCH_DEBUG=1"));
    }

    [Test]
    public void A_stop_keeps_its_exit_code() =>
        Assert.That(LastResort.Run(TextWriter.Null, () => throw new OperationCanceledException()), Is.EqualTo(130));

    [Test]
    public void What_ends_well_keeps_its_exit_code() =>
        Assert.That(LastResort.Run(TextWriter.Null, () => 3), Is.EqualTo(3));

    [Test]
    public void The_variable_shows_the_trace()
    {
        try {
            Environment.SetEnvironmentVariable("LSMRTORCH_DEBUG", "1");
            Assert.That(Told(s_thrown[4]), Does.Contain("   at "));
        } finally {
            Environment.SetEnvironmentVariable("LSMRTORCH_DEBUG", null);
        }
    }

    private static string Told(Exception thrown)
    {
        var error = new StringWriter();
        LastResort.Run(error, () => throw thrown);
        return error.ToString();
    }
}
