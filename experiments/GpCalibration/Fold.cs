using static TorchSharp.torch;

namespace LsmrTorch.Experiments.GpCalibration;

/// <summary>One fold of a step: what the others say of it.</summary>
/// <param name="Number">Which of the folds.</param>
/// <param name="Draw">Which draw of examples.</param>
/// <param name="Fitted">Φ of the other folds.</param>
/// <param name="Held">Φ of this one.</param>
/// <param name="Rows">The numbers of this one's examples.</param>
/// <param name="Targets">y of this one.</param>
/// <param name="Solution">x of the other folds.</param>
/// <param name="Noise">σ.</param>
internal sealed record Fold(int Number, int Draw, LinearOperator Fitted, LinearOperator Held, Tensor Rows, Tensor Targets, Tensor Solution, Tensor Noise);
