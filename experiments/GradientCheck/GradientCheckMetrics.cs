namespace LsmrTorch.Experiments.GradientCheck;

/// <summary>A line of metrics for a cell; the errors are null where it failed, and Failure says why.</summary>
internal sealed record CellMetric(
    string Shape, double Damp, string Rank, bool Start, string Dtype, string Operator, double Cond, int Rows, int Columns,
    double? ErrorX, double? ErrorB, double? ErrorA, double? ErrorDamp, double? ErrorX0, double? Worst, double? Difference,
    int? Iterations, string? Failure);

/// <summary>The same for a case of a file.</summary>
internal sealed record CaseMetric(
    int Index, string Name, double? ErrorX, double? ErrorB, double? ErrorA, double? ErrorDamp, double? ErrorX0, double? Worst,
    int? Iterations, string? Failure);

/// <summary>Makes the lines of metrics.</summary>
internal static class GradientCheckMetrics
{
    public static CellMetric Of(CellResult result)
    {
        (Cell cell, CellErrors? errors, string? failure) = result;
        return new CellMetric(
            cell.Shape.ToString(), cell.Damp, cell.RankName, cell.Start, cell.DtypeName, cell.Kind.ToString(), cell.Cond, cell.Rows,
            cell.Columns, errors?.X, errors?.B, errors?.A, errors?.Damp, errors?.X0, errors?.Worst, errors?.Difference,
            errors?.Iterations, failure);
    }

    public static CaseMetric Of(CaseResult result)
    {
        (int index, string name, CellErrors? errors, string? failure) = result;
        return new CaseMetric(
            index, name, errors?.X, errors?.B, errors?.A, errors?.Damp, errors?.X0, errors?.Worst, errors?.Iterations, failure);
    }
}
