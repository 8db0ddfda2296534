using LsmrTorch.Datasets;
using LsmrTorch.Experiments.Images;
using LsmrTorch.Experiments.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch.Experiments.Sparsity;

/// <summary>Ninety per cent of the weights gone: at what loss of accuracy, and beside what else?</summary>
internal sealed class SparsityExperiment()
    : TrainingExperiment<SparsitySizes>("sparsity", "Train a ResNet on CIFAR-10 until nine tenths of its weights are zero.")
{
    /// <inheritdoc/>
    protected override SparsitySizes SizesOf(RunSettings settings) => SparsitySizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(SparsitySizes sizes, RunContext context)
    {
        using Cifar10 images = context.Settings.Data is string folder
            ? Cifar10.Load(folder)
            : Cifar10Generator.Generate(sizes.TrainImages, sizes.TestImages, Seeds.Derive(context.Settings.Seed, "images"));
        using var data = new ImageBatches(images, sizes.BatchSize, context.Settings.Seed, context.Device);
        using var run = new SparsityRun(sizes, context, data);
        SparsityState state = run.Run();
        IReadOnlyList<Finish> finishes = [.. run.Continuations.Select(lane => Finish.Of(lane, sizes, data))];
        SaveNetworks(run.Continuations, context.Folder);
        string source = context.Settings.Data is null ? "generated" : "cifar10";
        return SparsityReport.Of(sizes, source, data, state, finishes, context);
    }

    private static void SaveNetworks(IReadOnlyList<Lane> lanes, RunFolder folder)
    {
        var tensors = new Dictionary<string, Tensor>();
        foreach (Lane lane in lanes) {
            foreach ((string key, Tensor tensor) in lane.Model.state_dict()) {
                tensors[$"{lane.Name}/{key}"] = tensor;
            }
        }
        Checkpoint.Save(folder.NetworksPath, new System.Text.Json.Nodes.JsonObject(), tensors);
    }
}
