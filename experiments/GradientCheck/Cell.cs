using TorchSharp;

namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>More rows than columns, as many, or fewer.</summary>
internal enum Shape { Tall, Square, Wide }

/// <summary>Who holds the matrix.</summary>
internal enum Kind
{
    /// <summary>A dense tensor.</summary>
    Dense,

    /// <summary>The values of compressed sparse rows.</summary>
    Csr,

    /// <summary>v ↦ M ((1 + z) ∘ v), whose M and z the closure alone knows; the transpose by autograd.</summary>
    Closure,

    /// <summary>The Jacobian of x ↦ M (x + x²/2) at z, with gradients to M and to z.</summary>
    Jacobian,
}

/// <summary>One combination of everything that takes a branch in the solver, at one size and condition.</summary>
internal sealed record Cell(
    Shape Shape, double Damp, bool Deficient, bool Start, torch.ScalarType Dtype, Kind Kind, double Cond, int Scale)
{
    public bool IsDouble => Dtype == torch.ScalarType.Float64;

    public int Rows => Scale * (Shape switch { Shape.Tall => 30, Shape.Square => 16, _ => 12 });

    public int Columns => Scale * (Shape switch { Shape.Tall => 12, Shape.Square => 16, _ => 30 });

    /// <summary>A third of the singular values is zero where the rank is deficient.</summary>
    public int Rank => Math.Min(Rows, Columns) - (Deficient ? Math.Min(Rows, Columns) / 3 : 0);

    public string RankName => Deficient ? "deficient" : "full";

    /// <summary>The float type as the figures name it.</summary>
    public string DtypeName => Dtype.ToString().ToLowerInvariant();

    /// <summary>The cell without size and condition.</summary>
    public Cell Combination => this with { Cond = 0, Scale = 0 };

    public override string ToString() =>
        FormattableString.Invariant($"{Shape}, λ {Damp}, rank {RankName}, x0 {(Start ? "not zero" : "zero")}, {DtypeName}, {Kind}, cond {Cond}");

    /// <summary>
    /// Where the rank is deficient, damping amplifies what rounding of A adds to its zero singular values by 1/λ². At eps/λ²
    /// above a hundredth (float32 with λ = 1e-3) the answer is one of rounding, and nothing can be compared.
    /// </summary>
    private bool IsDetermined => !Deficient || Damp == 0 || (IsDouble ? double.BitIncrement(1) - 1 : MathF.BitIncrement(1) - 1) < 0.01 * Damp * Damp;

    /// <summary>All of them, the float types side by side.</summary>
    public static IEnumerable<Cell> All(GradientCheckSizes sizes) =>
        from scale in sizes.Scales
        from cond in sizes.Conds
        from shape in Enum.GetValues<Shape>()
        from damp in sizes.Damps
        from deficient in new[] { false, true }
        from start in new[] { false, true }
        from kind in Enum.GetValues<Kind>()
        from dtype in new[] { torch.ScalarType.Float64, torch.ScalarType.Float32 }
        let cell = new Cell(shape, damp, deficient, start, dtype, kind, cond, scale)
        where cell.IsDetermined
        select cell;
}
