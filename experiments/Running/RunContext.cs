using TorchSharp;

namespace LsmrTorch.Experiments.Running;

/// <summary>What the frame hands to an experiment that trains.</summary>
/// <param name="Settings">The command line.</param>
/// <param name="Device">The device, which is there.</param>
/// <param name="Folder">The experiment calls its <see cref="RunFolder.Start"/> or <see cref="RunFolder.Continue"/>.</param>
/// <param name="Console">Where to speak, and when to stop.</param>
internal sealed record RunContext(RunSettings Settings, torch.Device Device, RunFolder Folder, RunConsole Console);
