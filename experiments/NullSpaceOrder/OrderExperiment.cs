using LsmrTorch.Experiments.Running;
using TorchSharp;

namespace LsmrTorch.Experiments.NullSpaceOrder;

/// <summary>Project the gradient, the step, or the step in the optimizer's metric?</summary>
internal sealed class OrderExperiment() : TrainingExperiment<OrderSizes>(
    "null-space-order", "Project the gradient, the step, or the step in the optimizer's metric? Five problems, SGD and Adam.")
{
    /// <inheritdoc/>
    protected override OrderSizes SizesOf(RunSettings settings) => OrderSizes.Of(settings.Preset);

    /// <inheritdoc/>
    protected override Summary Train(OrderSizes sizes, RunContext context)
    {
        if (context.Settings.Threads is null) {
            torch.set_num_threads(1); // a few thousand weights are nothing to share
        }
        OrderState state = new OrderRun(sizes, context).Run();
        return OrderReport.Of(sizes, state, context.Folder);
    }
}
