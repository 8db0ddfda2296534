using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LsmrTorch;

/// <summary>
/// A layer from b to the x that minimises ‖A(θ) x − b‖² + λ²‖x − x0‖², by <see cref="Lsmr.Solve"/>: A is built from the layer's
/// parameters θ at every forward pass, and gradients reach b, θ and, where it is learnt, λ.
/// </summary>
/// <remarks>
/// b has A's OutputShape, or one more dimension for several right-hand sides; the result then has it too, beside A's InputShape. λ is learnt
/// as softplus of the parameter <see cref="DampName"/> and so stays positive. The parameters belong to the layer, which saves them in
/// its state_dict, moves and disposes them.
/// </remarks>
public sealed class LeastSquaresLayer : nn.Module<Tensor, Tensor>
{
    /// <summary>The name of the parameter whose softplus is λ.</summary>
    public const string DampName = "raw_damp";

    private readonly Func<IReadOnlyDictionary<string, Parameter>, Tensor, LinearOperator> build;
    private readonly LsmrOptions options;
    private readonly bool learnsDamp;

    /// <summary>A layer with these parameters.</summary>
    /// <param name="parameters">Names and parameters, which the layer registers and from then on owns.</param>
    /// <param name="build">
    /// Makes A from the parameters by their names, and from b, whose shape may decide A's. Called at every forward pass; take the parameters from
    /// the argument, as moving a layer may replace them. Tensors that it makes and a closure captures must live until the
    /// backward pass: they are in the caller's dispose scope.
    /// </param>
    /// <param name="options">How it is solved; where λ is learnt, <see cref="LsmrOptions.Damp"/> is what it begins from.</param>
    /// <param name="learnDamp">Whether λ is a parameter.</param>
    /// <exception cref="ArgumentException">A name is empty, has a dot, is there twice or is <see cref="DampName"/>; a
    /// parameter is there twice or shares memory with another; λ is to be learnt from zero or a tensor.</exception>
    public LeastSquaresLayer(IEnumerable<(string Name, Parameter Parameter)> parameters,
        Func<IReadOnlyDictionary<string, Parameter>, Tensor, LinearOperator> build, LsmrOptions? options = null, bool learnDamp = false)
        : base(nameof(LeastSquaresLayer))
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(build);
        (this.build, this.options, learnsDamp) = (build, options ?? new(), learnDamp);
        this.options.Validate();
        (string Name, Parameter Parameter)[] all = [.. parameters];
        var names = new HashSet<string>();
        foreach ((string name, Parameter parameter) in all) {
            if (string.IsNullOrEmpty(name) || name.Contains('.') || name == DampName || !names.Add(name))
                throw new ArgumentException($"A parameter's name must not be empty, have a dot, be there twice or be {DampName}, but one is '{name}'.", nameof(parameters));
            ParameterIdentity.RequireAlive(parameter, nameof(parameters));
        }
        ParameterIdentity.RequireOnce([.. all.Select(own => own.Parameter)], "A layer");
        ParameterIdentity.RequireApart(all.Select(own => own.Parameter), nameof(parameters));
        double first = learnDamp && this.options.Damp.Tensor is null ? this.options.Damp.Value : 0;
        if (learnDamp && !(first > 0 && double.IsFinite(first)))
            throw new ArgumentException($"A damping that is learnt must begin from a number over 0, but Damp is {(this.options.Damp.Tensor is null ? first : "a tensor")}.", nameof(options));
        foreach ((string name, Parameter parameter) in all)
            register_parameter(name, parameter);
        if (learnDamp)
            register_parameter(DampName, RawDamp(first, all.Length > 0 ? all[0].Parameter.dtype : ScalarType.Float32));
    }

    /// <summary>λ as it is now; reads the parameter where it is learnt, or the options' tensor.</summary>
    public double Damp
    {
        get
        {
            if (!learnsDamp)
                return options.Damp.Value;
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            return Vectors.Read(nn.functional.softplus(get_parameter(DampName)));
        }
    }

    /// <summary>x, a new tensor of A's InputShape (and b's columns).</summary>
    /// <exception cref="ArgumentException">b does not fit the operator; an option is out of range.</exception>
    /// <exception cref="LsmrException">The solve did not converge and gradients were to flow through it.</exception>
    public override Tensor forward(Tensor b)
    {
        ArgumentNullException.ThrowIfNull(b);
        LinearOperator A = build(named_parameters(recurse: false).Where(own => own.name != DampName).ToDictionary(own => own.name, own => own.parameter), b)
            ?? throw new ArgumentException("A layer's operator must not be null.");
        if (!learnsDamp)
            return Lsmr.Solve(A, b, options).Solution;
        using var scope = NewDisposeScope();
        Tensor damp = nn.functional.softplus(get_parameter(DampName)).to(b.dtype);
        return scope.MoveToOuter(Lsmr.Solve(A, b, options with { Damp = damp }).Solution);
    }

    // softplus⁻¹(λ) = λ + log(1 − e^−λ)
    private static Parameter RawDamp(double damp, ScalarType dtype)
    {
        using var raw = tensor(damp + Math.Log(-Expm1(-damp)), Require.RealFloat(dtype, "the first parameter"));
        return new Parameter(raw.clone());
    }

    // eˣ − 1 without cancellation (Kahan): (y − 1) x / log y for y = eˣ.
    private static double Expm1(double x)
    {
        double y = Math.Exp(x);
        return y == 1 ? x : y - 1 == -1 ? -1 : (y - 1) * x / Math.Log(y);
    }
}
