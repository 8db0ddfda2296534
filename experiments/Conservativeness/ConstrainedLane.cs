namespace LsmrTorch.Experiments.Conservativeness;

/// <summary>Ours: from the end of the warm-up on, Adam's steps are held to S = Sᵀ by the null-space method.</summary>
internal sealed class ConstrainedLane : ScoreLane
{
    private readonly NullSpaceOptimizer _optimizer;
    private readonly Rotation _rotation;

    public ConstrainedLane(ConservativenessSizes sizes, ScoreTask task) : base("ours", sizes, task)
    {
        _rotation = new Rotation(task, Network, sizes.Points, sizes.Products);
        Constraint constraint = sizes.OneResidual ? Constraint.RootMeanSquare(_rotation.Constraint) : _rotation.Constraint;
        _optimizer = new NullSpaceOptimizer(Adam, Parameters, constraint, sizes.Rate, sizes.Damp) {
            RateSchedule = sizes.RateFalls ? step => sizes.Rate * Share((int)step + FirstStep) : null,
            Smoothing = sizes.Smoothing,
            Order = sizes.Order,
            Every = sizes.Every,
            WarmUp = sizes.WarmUpSteps - FirstStep, // counted from its own first step
            Tolerance = sizes.Tolerance,
            MaxIterations = sizes.MaxIterations,
        };
    }

    /// <summary>What the last step did; null before the first.</summary>
    public NullSpaceReport? LastStep { get; private set; }

    /// <inheritdoc/>
    public override int FirstStep => Math.Max(0, Sizes.WarmUpSteps - Sizes.MetricSteps);

    protected override void Update(int step)
    {
        _rotation.At(step);
        LastStep = _optimizer.step();
    }

    protected override void SaveOptimizer(BinaryWriter writer) => _optimizer.save_state_dict(writer);

    protected override void LoadOptimizer(BinaryReader reader) => _optimizer.load_state_dict(reader);
}
