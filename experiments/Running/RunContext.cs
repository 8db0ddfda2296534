using System.Text.Json.Nodes;
using LsmrTorch.Datasets;
using TorchSharp;

namespace LsmrTorch.Experiments.Running;

/// <summary>What the frame hands to an experiment that trains.</summary>
/// <param name="Settings">The command line.</param>
/// <param name="Device">The device, which is there.</param>
/// <param name="Folder">Where results go, once <see cref="Begin"/> has been called.</param>
/// <param name="Console">Where to speak, and when to stop.</param>
internal sealed record RunContext(RunSettings Settings, torch.Device Device, RunFolder Folder, RunConsole Console)
{
    /// <summary>
    /// Opens the folder. Returns what the checkpoint holds where the run is to go on from one (the tensors belong to the
    /// caller's scope), and null where it starts afresh.
    /// </summary>
    public (JsonNode State, Dictionary<string, torch.Tensor> Tensors)? Begin()
    {
        if (Settings.Resume) {
            if (Folder.Continue() is { } held) {
                return held;
            }
            Console.Error.WriteLine($"There is no checkpoint in {Quoted.Path(Folder.Root)}; the run starts afresh.");
        }
        Folder.Start(Device, Settings.Overwrite, Settings.Resume);
        return null;
    }
}
