namespace LsmrTorch.Datasets;

/// <summary>
/// A sparse matrix in compressed rows: row i is Values[RowStarts[i]] to Values[RowStarts[i + 1] - 1], in the columns
/// that ColumnIndices names at the same places, each column once and in rising order. All indices count from 0.
/// </summary>
/// <param name="Rows">The number of rows.</param>
/// <param name="Columns">The number of columns.</param>
/// <param name="Values">The entries, row by row.</param>
/// <param name="ColumnIndices">The column of each entry.</param>
/// <param name="RowStarts">The place of each row's first entry, then the number of entries; Rows + 1 in all.</param>
public sealed record SparseMatrix(long Rows, long Columns, double[] Values, long[] ColumnIndices, long[] RowStarts)
{
    /// <summary>Sorts entries given in any order, summing those of one place in the order given.</summary>
    internal static SparseMatrix FromEntries(long rows, long columns, IReadOnlyList<Entry> entries)
    {
        var ends = new long[rows + 1];
        foreach (Entry entry in entries) {
            ends[entry.Row + 1]++;
        }
        for (long i = 0; i < rows; i++) {
            ends[i + 1] += ends[i];
        }
        var order = new int[entries.Count];
        long[] next = [.. ends];
        for (int k = 0; k < entries.Count; k++) {
            order[next[entries[k].Row]++] = k;
        }

        var values = new List<double>(entries.Count);
        var columnIndices = new List<long>(entries.Count);
        var starts = new long[rows + 1];
        for (long i = 0; i < rows; i++) {
            Span<int> row = order.AsSpan((int)ends[i], (int)(ends[i + 1] - ends[i]));
            SortByColumn(row, entries);
            foreach (int k in row) {
                if (columnIndices.Count > starts[i] && columnIndices[^1] == entries[k].Column) {
                    values[^1] += entries[k].Value;
                } else {
                    columnIndices.Add(entries[k].Column);
                    values.Add(entries[k].Value);
                }
            }
            starts[i + 1] = values.Count;
        }
        return new SparseMatrix(rows, columns, [.. values], [.. columnIndices], starts);
    }

    /// <summary>Sorts the places of one row's entries by column, and by place where the column is the same.</summary>
    private static void SortByColumn(Span<int> row, IReadOnlyList<Entry> entries)
    {
        for (int k = 1; k < row.Length; k++) {
            if (entries[row[k - 1]].Column > entries[row[k]].Column) {
                row.Sort((a, b) => (entries[a].Column, a).CompareTo((entries[b].Column, b)));
                return;
            }
        }
    }

    /// <summary>The number <paramref name="Value"/> at a place, counted from 0.</summary>
    internal readonly record struct Entry(long Row, long Column, double Value);
}
