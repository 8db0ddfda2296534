using System.Diagnostics;
using NUnit.Framework;

namespace LsmrTorch.Tests.Datasets;

/// <summary>The script that downloads CIFAR-10, with programs of our own in place of those that it calls.</summary>
public class GetCifar10Tests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Redirects_are_held_to_https_and_a_wrong_checksum_keeps_nothing()
    {
        const string Md5 = "c32a1d4ab5d03f1284b67883e8d87530";
        string script = ScriptOrIgnore();
        Program("curl", "echo \"$@\" > \"$(dirname \"$0\")/arguments\"; while [ $# -gt 1 ]; do [ \"$1\" = --output ] && out=$2; shift; done; echo no archive > \"$out\"");
        (int code, string error) = Run(script);
        Assert.That(File.ReadAllText(_folder["bin/arguments"]),
            Does.Contain("--proto =https --proto-redir =https ").And.Contain("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"));
        Assert.That(error, Does.Contain($"but CIFAR-10's is {Md5}; nothing was kept."));
        Assert.That((code, Directory.GetFileSystemEntries(_folder["data"]).Length), Is.EqualTo((1, 0)));

        Program("md5sum", $"echo {Md5} $1"); // a file made to have this sum
        (code, error) = Run(script);
        Assert.That(error, Does.Contain("has the SHA-256 sum ").And.Contain("nothing was kept."));
        Assert.That((code, Directory.GetFileSystemEntries(_folder["data"]).Length), Is.EqualTo((1, 0)));
    }

    private static string ScriptOrIgnore()
    {
        for (var folder = new DirectoryInfo(TestContext.CurrentContext.TestDirectory); folder is not null; folder = folder.Parent) {
            string script = Path.Combine(folder.FullName, "scripts", "get-cifar10.sh");
            if (OperatingSystem.IsLinux() && File.Exists(script)) {
                return script;
            }
        }
        Assert.Ignore("The script is not above the tests, or this is no Linux.");
        return "";
    }

    private void Program(string name, string text)
    {
        Directory.CreateDirectory(_folder["bin"]);
        _folder.Write($"bin/{name}", $"#!/usr/bin/env bash\n{text}\n");
        if (OperatingSystem.IsLinux()) {
            File.SetUnixFileMode(_folder[$"bin/{name}"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }
    }

    private (int Code, string Error) Run(string script)
    {
        var start = new ProcessStartInfo("bash", [script, _folder["data"]]) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["PATH"] = _folder["bin"] + ":" + Environment.GetEnvironmentVariable("PATH");
        using Process process = Process.Start(start)!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, error);
    }
}
