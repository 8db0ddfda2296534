using TorchSharp;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// Calls of functions that a user gave. What they return may be any view, sparse, and memory that the next call
/// overwrites; null, and a tensor of theirs that a dispose scope has taken, are refused.
/// </summary>
internal static class UserFunction
{
    /// <summary>
    /// The function's result as a strided tensor, in the current dispose scope where it is a new one.
    /// </summary>
    /// <param name="function">Called once.</param>
    /// <param name="argument">What it is called with.</param>
    /// <param name="name">What the function is, for messages.</param>
    /// <exception cref="ArgumentException">It returned null.</exception>
    /// <exception cref="InvalidOperationException">It used a tensor that was disposed.</exception>
    public static Tensor Call<T>(Func<T, Tensor> function, T argument, string name)
    {
        Tensor? result;
        try {
            result = function(argument);
        } catch (InvalidOperationException failure) when (IsOfDisposed(failure)) {
            throw new InvalidOperationException(
                $"{name} used a tensor that is disposed. A tensor that a function makes in a call belongs to a "
                    + $"dispose scope that ends with it: one that is kept for later calls must be made before, or "
                    + $"taken out by DetachFromDisposeScope().", failure);
        }
        if (result is null)
            throw new ArgumentException($"{name} must return a tensor, but returned null.");
        return Layout.Dense(result);
    }

    // TorchSharp has no type for it.
    private static bool IsOfDisposed(InvalidOperationException failure) =>
        failure.Message.StartsWith("Tensor invalid", StringComparison.Ordinal);
}

/// <summary>
/// One of an operator's two closures. Its first product of numbers that are not all zero is watched: a closure that
/// writes to its argument would change vectors of the solve.
/// </summary>
internal sealed class ProductClosure(Func<Tensor, Tensor> closure, string name)
{
    private volatile bool isTrusted;

    /// <summary>The product; it may be a view of the argument, or lie in memory that the next call writes to.</summary>
    /// <exception cref="ArgumentException">The closure wrote to its argument.</exception>
    public Tensor Call(Tensor argument)
    {
        if (isTrusted) {
            Tensor product = UserFunction.Call(closure, argument, name);
            return ReferenceEquals(product, argument) ? product.alias() : product;
        }
        var before = new Print(argument);
        Tensor result = UserFunction.Call(closure, argument, name);
        if (!before.IsOf(argument))
            throw new ArgumentException($"{name} must not write to its argument, but did; it can write to a clone().");
        isTrusted = before.HasNumbers;
        return ReferenceEquals(result, argument) ? result.alias() : result;
    }

    /// <summary>
    /// What tells a tensor from a changed one: a hash on the CPU, which takes no memory, else a copy.
    /// </summary>
    private readonly struct Print
    {
        private readonly ulong hash;
        private readonly Tensor? copy;

        public Print(Tensor x)
        {
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            if (Passes.Take(x))
                (hash, HasNumbers) = (Memory.Hash(x), Vectors.Norm(x) != 0);
            else
                (copy, HasNumbers) = (scope.MoveToOuter(x.detach().clone()), x.count_nonzero().item<long>() > 0);
        }

        /// <summary>Whether a number is not zero.</summary>
        public bool HasNumbers { get; }

        public bool IsOf(Tensor x)
        {
            if (copy is null)
                return Memory.Hash(x) == hash;
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            bool isSame = x.eq(copy).logical_or(x.isnan()).all().item<bool>();
            copy.Dispose();
            return isSame;
        }
    }
}
