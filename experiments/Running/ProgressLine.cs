using System.Diagnostics;

namespace LsmrTorch.Experiments.Running;

/// <summary>
/// One line of progress with the time left. It is drawn by the thread that trains: a thread that refreshes it would
/// allocate, and its collections free what TorchSharp is using. Where the output is no terminal, a plain line every
/// fifteen seconds.
/// </summary>
internal sealed class ProgressLine(RunConsole console, long totalSteps)
{
    private const int BarWidth = 16;
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private long _stepsBefore;
    private TimeSpan _nextDraw;
    private int _drawn;

    /// <summary>Says that so many steps were done by an earlier process, whose speed says nothing about this one.</summary>
    public void StartFrom(long steps)
    {
        _stepsBefore = steps;
        _watch.Restart();
        _nextDraw = TimeSpan.Zero;
    }

    /// <summary>Shows the state after <paramref name="steps"/> steps, if it is time to.</summary>
    public void Report(long steps, string status)
    {
        if (_watch.Elapsed < _nextDraw) {
            return;
        }
        _nextDraw = _watch.Elapsed + TimeSpan.FromSeconds(console.Interactive ? 0.25 : 15);
        double share = (double)steps / totalSteps;
        string line = $"{share,4:P0} · {TimeLeft(steps)} left · {status}";
        if (!console.Interactive) {
            console.Out.WriteLine(line);
            console.Out.Flush();
            return;
        }
        int full = (int)(share * BarWidth);
        line = $"[{new string('█', full)}{new string('░', BarWidth - full)}] {line}";
        line = line[..Math.Min(line.Length, Math.Max(20, console.Width - 1))]; // a line that wraps cannot be redrawn
        console.Out.Write("\r" + line.PadRight(_drawn));
        console.Out.Flush();
        _drawn = line.Length;
    }

    /// <summary>Puts a line of its own above the bar.</summary>
    public void Say(string line)
    {
        Clear();
        console.Out.WriteLine(line);
        console.Out.Flush();
    }

    /// <summary>Takes the bar away.</summary>
    public void Clear()
    {
        if (_drawn > 0) {
            console.Out.Write("\r" + new string(' ', _drawn) + "\r");
            _drawn = 0;
            _nextDraw = TimeSpan.Zero;
        }
    }

    private string TimeLeft(long steps)
    {
        long done = steps - _stepsBefore;
        if (done <= 0) {
            return "--:--";
        }
        TimeSpan left = _watch.Elapsed * ((double)(totalSteps - steps) / done);
        return left.TotalHours >= 1 ? $"{(int)left.TotalHours}:{left:mm\\:ss}" : $"{left:mm\\:ss}";
    }
}
