using TorchSharp;

using var ones = torch.ones(3);
Console.WriteLine(ones.ToString(TorchSharp.TensorStringStyle.Numpy));
